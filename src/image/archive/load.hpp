// Images from archives: OCI layouts (image-spec, image-layout.md), as directories or tars, and Docker's save
// format.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "image/archive/source.hpp"
#include "image/store/store.hpp"
#include "term/progress.hpp"

namespace berth::image {

struct LoadOptions {
  Platform platform = Platform::host();  // of images for several
  std::string name;                      // for images to which the archive gives none
};

// Reads `path`, a file or a directory ("": standard input), whatever of the known formats it is in, takes all
// its images into the store, under a lease of its own, and unpacks them. Gives the images by their names, one
// record a name. Nothing stays of an image that is refused.
Result<std::vector<ImageRecord>> load_images(Store& store, const std::string& path,
                                             const LoadOptions& options, term::Progress& progress);

// What an archive says that it holds; the blobs are in the store by then.
struct Found {
  std::optional<Reference> name;
  Descriptor manifest;
};

// The two formats, once the files can be read.
Result<std::vector<Found>> read_oci_layout(Source& source, const LoadOptions& options);
Result<std::vector<Found>> read_docker_archive(Store& store, Source& source, const LoadOptions& options);

}  // namespace berth::image

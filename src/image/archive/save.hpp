// Images into archives that other tools read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "image/store/store.hpp"
#include "term/progress.hpp"

namespace berth::image {

enum class ArchiveFormat { DockerArchive, OciArchive, OciDirectory };

// "docker-archive", "oci-archive" or "oci-dir", as Podman spells them.
Result<ArchiveFormat> parse_archive_format(std::string_view text);

// One image, and the names to be written with it.
struct SavedImage {
  ImageRecord image;
  std::vector<Reference> names;
};

// Archives go to the descriptor `out`; the same images give the same bytes.
Result<void> save_archive(Store& store, const std::vector<SavedImage>& images, ArchiveFormat format, int out,
                          term::Progress& progress);
// An OCI layout; `path` must be absent or empty. On failure what was written is removed.
Result<void> save_directory(Store& store, const std::vector<SavedImage>& images, const std::string& path,
                            term::Progress& progress);

// The image's whole root directory, as one tar.
Result<void> export_root(Store& store, const ImageRecord& image, int out);

}  // namespace berth::image

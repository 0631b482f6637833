// An image from the tar of a root directory.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "image/store/store.hpp"
#include "term/progress.hpp"

namespace berth::image {

struct ImportOptions {
  std::optional<Reference> name;
  std::string message;
  ImageConfig config;  // as changed by --change; platform, layers and history are filled in
};

// Reads the tar in `fd` (plain, gzip or zstd) as the only layer of a new image, and unpacks it. `origin` goes
// into the history. Nothing stays where it is no tar.
Result<ImageRecord> import_root(Store& store, int fd, const std::string& origin, ImportOptions options,
                                term::Progress& progress);

}  // namespace berth::image

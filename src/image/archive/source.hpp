// The files of an image archive, wherever they are: a tar's, spooled into the store's own file system while
// it streams by, or a directory's.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "image/store/store.hpp"
#include "term/progress.hpp"

namespace berth::image {

class Source {
 public:
  virtual ~Source() = default;
  virtual Result<bool> has(const std::string& name) = 0;
  // A document, of kMaxManifestBytes at most. NotFound names it.
  virtual Result<std::string> read(const std::string& name) = 0;
  // Size and digest of a file: sha512 where its name says so (blobs/sha512/), sha256 otherwise.
  // Descriptor::media_type stays empty.
  virtual Result<Descriptor> describe(const std::string& name) = 0;
  // An open file, for looking at its first bytes.
  virtual Result<sys::Fd> open(const std::string& name) = 0;
  // Puts the file into the store as the blob that `descriptor` says. DataLoss where it is another.
  virtual Result<void> take(const std::string& name, const Descriptor& descriptor) = 0;
};

// Reads the tar in `fd` (plain, gzip or zstd) to its end. Memory is bounded by the number of entries (100,000
// at most, of names up to 4 KiB); content goes to `directory`, a work directory of a live lease, under
// numbers: no name of the archive ever names a file.
Result<std::unique_ptr<Source>> open_tar(Store& store, int fd, const std::string& directory,
                                         term::Progress& progress);

// Links below the directory are not followed.
Result<std::unique_ptr<Source>> open_directory(Store& store, const std::string& path);

}  // namespace berth::image

// Owner, mode, times and extended attributes: from an entry to a file, and from a file.
#pragma once

#include <set>
#include <string>

#include "base/result.hpp"
#include "image/layer/tar_entry.hpp"

namespace berth::image {

// Applies metadata in the order that keeps it: owner (which clears set-id bits and capabilities), extended
// attributes (which need write permission), mode, access lists, times. What this user or file system cannot
// keep is left out with one warning a kind; everything else is an error.
class MetadataWriter {
 public:
  explicit MetadataWriter(bool keep_owner) : keep_owner_(keep_owner) {}

  // A regular file, open for writing, that nobody wrote after this.
  Result<void> apply(int file, const Metadata& metadata);
  // A directory; its times are DirChain's to set, after the last change in it.
  Result<void> apply_to_directory(int directory, const Metadata& metadata);
  // A symlink or special file.
  Result<void> apply_at(int directory, const std::string& name, const Metadata& metadata, bool symlink);

  // Warns once for each `kind`.
  void left_out(const std::string& kind, std::string_view what);

 private:
  template <typename Set>
  Result<void> apply_xattrs(const Metadata& metadata, bool acls, Set set);

  bool keep_owner_;
  std::set<std::string> warned_;
};

// What `info` and the file itself say; overlayfs's own attributes are left out.
Result<Metadata> read_metadata(int directory, const std::string& name, const struct stat& info);
Result<Metadata> read_metadata(int file, const struct stat& info);

}  // namespace berth::image

// How overlayfs marks what a layer hides (kernel: Documentation/filesystems/overlayfs.rst).
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::image {

// The extended attributes of overlayfs: those of a privileged mount ("trusted.overlay.") or of one made in a
// user namespace with userxattr ("user.overlay.").
class OverlayMarks {
 public:
  explicit OverlayMarks(bool user_xattrs) : prefix_(user_xattrs ? "user.overlay." : "trusted.overlay.") {}

  // Marks the directory as hiding what lower layers have there.
  Result<void> make_opaque(int directory) const;
  Result<bool> is_opaque(int directory) const;

  // Hides `name` of the lower layers: a 0/0 character device, or where the kernel refuses to make one, an
  // empty file with the whiteout attribute (Linux 6.7) in a directory marked for it.
  Result<void> make_whiteout(int directory, const std::string& name) const;
  Result<bool> is_whiteout(int directory, const std::string& name, const struct stat& info) const;

 private:
  std::string prefix_;
};

// trusted.overlay.* and user.overlay.*: never taken from nor put into an archive.
bool is_overlay_xattr(std::string_view key);

}  // namespace berth::image

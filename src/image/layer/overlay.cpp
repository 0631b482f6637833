#include "image/layer/overlay.hpp"

#include <cerrno>

#include "sys/entry.hpp"

namespace berth::image {

Result<void> OverlayMarks::make_opaque(int directory) const {
  return sys::set_xattr(directory, {prefix_ + "opaque", "y"});
}

Result<bool> OverlayMarks::is_opaque(int directory) const {
  return TRY(sys::get_xattr(directory, prefix_ + "opaque")).value_or("") == "y";
}

Result<void> OverlayMarks::make_whiteout(int directory, const std::string& name) const {
  auto made = sys::make_node_at(directory, name, S_IFCHR, 0);
  if (made) return sys::set_times_at(directory, name, timespec{});  // the same archive gives the same tree
  if (made.error().sys_errno != EPERM) return made;
  TRY(sys::open_at(directory, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0600));
  TRY(sys::set_xattr_at(directory, name, {prefix_ + "whiteout", "y"}));
  TRY(sys::set_times_at(directory, name, timespec{}));
  // "x" tells overlayfs to look for such whiteouts; "y" hides everything anyway.
  if (!TRY(is_opaque(directory))) TRY(sys::set_xattr(directory, {prefix_ + "opaque", "x"}));
  return {};
}

Result<bool> OverlayMarks::is_whiteout(int directory, const std::string& name,
                                       const struct stat& info) const {
  if (S_ISCHR(info.st_mode)) return info.st_rdev == 0;
  if (!S_ISREG(info.st_mode) || info.st_size != 0) return false;
  return TRY(sys::get_xattr_at(directory, name, prefix_ + "whiteout")).has_value();
}

bool is_overlay_xattr(std::string_view key) {
  return key.starts_with("trusted.overlay.") || key.starts_with("user.overlay.");
}

}  // namespace berth::image

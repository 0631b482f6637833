#include "image/layer/metadata.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <utility>

#include "base/log.hpp"
#include "image/layer/overlay.hpp"

namespace berth::image {
namespace {

// Attributes that belong to a host and mean nothing on another: its overlay mounts, its security policy's
// labels, its network file system's lists.
bool is_foreign(std::string_view key) {
  return is_overlay_xattr(key) || key == "security.selinux" || key == "system.nfs4_acl";
}

// An access list holds the mode's group bits as its mask: it goes on after the mode, and decides.
bool is_acl(std::string_view key) { return key.starts_with("system.posix_acl_"); }

Metadata from_stat(const struct stat& info, std::vector<sys::Xattr> xattrs) {
  Metadata metadata{info.st_mode & 07777, info.st_uid, info.st_gid, info.st_mtim, std::move(xattrs)};
  std::erase_if(metadata.xattrs, [](const sys::Xattr& attribute) { return is_foreign(attribute.first); });
  return metadata;
}

Failure explain_owner(Error error, const Metadata& metadata) {
  if (error.sys_errno == EINVAL) {
    error.message +=
        fmt::format(": {}:{} has no id in this user namespace; give the user more subordinate ids",
                    metadata.uid, metadata.gid);
  }
  return fail(std::move(error));
}

}  // namespace

void MetadataWriter::left_out(const std::string& kind, std::string_view what) {
  if (warned_.insert(kind).second) log::warn("left out of the layer: {}", what);
}

template <typename Set>
Result<void> MetadataWriter::apply_xattrs(const Metadata& metadata, bool acls, Set set) {
  for (const sys::Xattr& attribute : metadata.xattrs) {
    const std::string& key = attribute.first;
    if (is_acl(key) != acls) continue;
    if (is_foreign(key)) {
      log::debug("ignored the extended attribute {}: it belongs to the host that made the layer",
                 quoted(key));
      continue;
    }
    auto done = set(attribute);
    if (done) continue;
    const int reason = done.error().sys_errno;
    if (reason != EPERM && reason != EOPNOTSUPP) return done;
    left_out(fmt::format("xattr {:.64}", key), done.error().message);
  }
  return {};
}

Result<void> MetadataWriter::apply(int file, const Metadata& metadata) {
  TRY(apply_to_directory(file, metadata));
  return sys::set_times(file, metadata.mtime);
}

Result<void> MetadataWriter::apply_to_directory(int directory, const Metadata& metadata) {
  if (keep_owner_) {
    auto owned = sys::set_owner(directory, metadata.uid, metadata.gid);
    if (!owned) return explain_owner(std::move(owned).error(), metadata);
  }
  const auto set = [&](const sys::Xattr& attribute) { return sys::set_xattr(directory, attribute); };
  TRY(apply_xattrs(metadata, false, set));
  TRY(sys::set_mode(directory, metadata.mode));
  return apply_xattrs(metadata, true, set);
}

Result<void> MetadataWriter::apply_at(int directory, const std::string& name, const Metadata& metadata,
                                      bool symlink) {
  if (keep_owner_) {
    auto owned = sys::set_owner_at(directory, name, metadata.uid, metadata.gid);
    if (!owned) return explain_owner(std::move(owned).error(), metadata);
  }
  const auto set = [&](const sys::Xattr& attribute) { return sys::set_xattr_at(directory, name, attribute); };
  TRY(apply_xattrs(metadata, false, set));
  if (!symlink) {
    TRY(sys::set_mode_at(directory, name, metadata.mode));
    TRY(apply_xattrs(metadata, true, set));
  }
  return sys::set_times_at(directory, name, metadata.mtime);
}

Result<Metadata> read_metadata(int directory, const std::string& name, const struct stat& info) {
  return from_stat(info, TRY(sys::read_xattrs_at(directory, name)));
}

Result<Metadata> read_metadata(int file, const struct stat& info) {
  return from_stat(info, TRY(sys::read_xattrs(file)));
}

}  // namespace berth::image

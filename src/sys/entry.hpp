// Directory entries: operations on one name right below an open directory. None of them follows a symlink at
// that name, so a tree that somebody else wrote cannot lead them elsewhere; `name` must be a single path
// component.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <ctime>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

Result<std::optional<struct stat>> find_at(int dir, const std::string& name);  // nullopt where there is none
Result<struct stat> stat_of(int fd);

Result<void> make_dir_at(int dir, const std::string& name, mode_t mode);
Result<void> make_node_at(int dir, const std::string& name, mode_t type_and_mode, dev_t device);
Result<void> make_symlink_at(const std::string& target, int dir, const std::string& name);
Result<void> link_at(int from_dir, const std::string& from, int dir, const std::string& name);
Result<std::string> read_link_at(int dir, const std::string& name);
Result<void> remove_at(int dir, const std::string& name);       // not a directory; absent is fine
Result<void> remove_tree_at(int dir, const std::string& name);  // anything; absent is fine
Result<std::vector<std::string>> list_names(int dir);           // sorted by byte value, without "." and ".."

// chown(2) clears set-id bits and security.capability: owner first, then extended attributes, mode and time.
Result<void> set_owner(int fd, uid_t uid, gid_t gid);
Result<void> set_owner_at(int dir, const std::string& name, uid_t uid, gid_t gid);
Result<void> set_mode(int fd, mode_t mode);
Result<void> set_mode_at(int dir, const std::string& name, mode_t mode);  // FailedPrecondition on a symlink
// Both access and modification time.
Result<void> set_times(int fd, const timespec& time);
Result<void> set_times_at(int dir, const std::string& name, const timespec& time);

using Xattr = std::pair<std::string, std::string>;  // name, value
Result<void> set_xattr(int fd, const Xattr& attribute);
Result<void> set_xattr_at(int dir, const std::string& name, const Xattr& attribute);
// All that the caller may see, sorted by name; none where the file system has no extended attributes.
Result<std::vector<Xattr>> read_xattrs(int fd);
Result<std::vector<Xattr>> read_xattrs_at(int dir, const std::string& name);
Result<std::optional<std::string>> get_xattr(int fd, const std::string& key);
Result<std::optional<std::string>> get_xattr_at(int dir, const std::string& name, const std::string& key);
Result<void> remove_xattr(int fd, const std::string& key);  // absent is fine

// Copies `size` bytes from the start of `from` to the start of `to`, sharing blocks where the file system
// can.
Result<void> copy_bytes(int from, int to, std::uint64_t size);

}  // namespace berth::sys

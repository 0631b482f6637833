#include "sys/entry.hpp"

#include <dirent.h>
#include <fmt/core.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text.hpp"

namespace berth::sys {
namespace {

constexpr std::size_t kXattrListMax = 65536;  // XATTR_LIST_MAX, XATTR_SIZE_MAX of linux/limits.h

Result<void> check(int status, std::string_view operation, const std::string& name) {
  if (status != 0) return fail_errno(fmt::format("cannot {} {}", operation, name));
  return {};
}

// There are no *at() calls for extended attributes before Linux 6.13; the l*xattr calls follow everything but
// the last component, and the magic link of the directory's descriptor is exactly the directory.
std::string through_proc(int dir, const std::string& name) {
  return fmt::format("/proc/self/fd/{}/{}", dir, name);
}

bool absent(int errno_value) { return errno_value == ENODATA || errno_value == EOPNOTSUPP; }

// Runs a *getxattr or *listxattr call `read(buffer, size)`, asking for the size first.
template <typename Read>
Result<std::optional<std::string>> read_sized(Read read) {
  std::string value(256, '\0');
  for (;;) {
    const ssize_t size = read(value.data(), value.size());
    if (size >= 0) {
      value.resize(static_cast<std::size_t>(size));
      return std::optional<std::string>(std::move(value));
    }
    if (absent(errno)) return std::optional<std::string>{};
    if (errno != ERANGE || value.size() > kXattrListMax) return fail_errno("cannot read extended attributes");
    value.resize(value.size() * 4);
  }
}

template <typename List, typename Get>
Result<std::vector<Xattr>> read_all_xattrs(List list, Get get) {
  std::vector<Xattr> attributes;
  const std::string names = TRY(read_sized(list)).value_or("");
  for (std::size_t at = 0; at < names.size(); at += std::strlen(names.c_str() + at) + 1) {
    const char* key = names.c_str() + at;
    auto value = TRY(read_sized([&](char* buffer, std::size_t size) { return get(key, buffer, size); }));
    if (value) attributes.emplace_back(key, *std::move(value));
  }
  std::sort(attributes.begin(), attributes.end());
  return attributes;
}

}  // namespace

Result<std::optional<struct stat>> find_at(int dir, const std::string& name) {
  struct stat info {};
  if (::fstatat(dir, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0) return std::optional(info);
  if (errno == ENOENT) return std::optional<struct stat>{};
  return fail_errno(fmt::format("cannot look up {}", name));
}

Result<struct stat> stat_of(int fd) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) return fail_errno("cannot stat an open file");
  return info;
}

Result<void> make_dir_at(int dir, const std::string& name, mode_t mode) {
  return check(::mkdirat(dir, name.c_str(), mode), "make directory", name);
}

Result<void> make_node_at(int dir, const std::string& name, mode_t type_and_mode, dev_t device) {
  return check(::mknodat(dir, name.c_str(), type_and_mode, device), "make the special file", name);
}

Result<void> make_symlink_at(const std::string& target, int dir, const std::string& name) {
  return check(::symlinkat(target.c_str(), dir, name.c_str()), "make the symlink", name);
}

Result<void> link_at(int from_dir, const std::string& from, int dir, const std::string& name) {
  return check(::linkat(from_dir, from.c_str(), dir, name.c_str(), 0), "make the hard link", name);
}

Result<std::string> read_link_at(int dir, const std::string& name) {
  std::array<char, 4097> target;
  const ssize_t size = ::readlinkat(dir, name.c_str(), target.data(), target.size());
  if (size < 0) return fail_errno(fmt::format("cannot read the link {}", name));
  return std::string(target.data(), static_cast<std::size_t>(size));
}

Result<void> remove_at(int dir, const std::string& name) {
  if (::unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return fail_errno(fmt::format("cannot remove {}", name));
}

Result<std::vector<std::string>> list_names(int dir) {
  Fd copy = TRY(open_at(dir, ".", O_RDONLY | O_DIRECTORY));
  DIR* stream = ::fdopendir(copy.get());
  if (stream == nullptr) return fail_errno("cannot list a directory");
  static_cast<void>(copy.release());
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
      names.emplace_back(entry->d_name);
  }
  const int problem = errno;
  ::closedir(stream);
  if (problem != 0) return fail_errno("cannot list a directory", problem);
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> set_owner(int fd, uid_t uid, gid_t gid) {
  if (::fchown(fd, uid, gid) == 0) return {};
  return fail_errno(fmt::format("cannot set the owner to {}:{}", uid, gid));
}

Result<void> set_owner_at(int dir, const std::string& name, uid_t uid, gid_t gid) {
  if (::fchownat(dir, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) == 0) return {};
  return fail_errno(fmt::format("cannot set the owner to {}:{}", uid, gid));
}

Result<void> set_mode(int fd, mode_t mode) {
  if (::fchmod(fd, mode) == 0) return {};
  return fail_errno(fmt::format("cannot set the mode to {:04o}", mode));
}

Result<void> set_mode_at(int dir, const std::string& name, mode_t mode) {
  const auto info = TRY(find_at(dir, name));
  if (info && S_ISLNK(info->st_mode)) {
    return fail(Code::FailedPrecondition, fmt::format("cannot set the mode of {}: it is a symlink", name));
  }
  if (::fchmodat(dir, name.c_str(), mode, 0) == 0) return {};
  return fail_errno(fmt::format("cannot set the mode of {} to {:04o}", name, mode));
}

Result<void> set_times(int fd, const timespec& time) {
  const std::array<timespec, 2> times{time, time};
  return check(::futimens(fd, times.data()), "set the time of", "an open file");
}

Result<void> set_times_at(int dir, const std::string& name, const timespec& time) {
  const std::array<timespec, 2> times{time, time};
  return check(::utimensat(dir, name.c_str(), times.data(), AT_SYMLINK_NOFOLLOW), "set the time of", name);
}

Result<void> set_xattr(int fd, const Xattr& attribute) {
  const auto& [key, value] = attribute;
  return check(::fsetxattr(fd, key.c_str(), value.data(), value.size(), 0), "set the extended attribute",
               key);
}

Result<void> set_xattr_at(int dir, const std::string& name, const Xattr& attribute) {
  const auto& [key, value] = attribute;
  const int status = ::lsetxattr(through_proc(dir, name).c_str(), key.c_str(), value.data(), value.size(), 0);
  return check(status, "set the extended attribute", key);
}

Result<std::vector<Xattr>> read_xattrs(int fd) {
  return read_all_xattrs(
      [&](char* buffer, std::size_t size) { return ::flistxattr(fd, buffer, size); },
      [&](const char* key, char* buffer, std::size_t size) { return ::fgetxattr(fd, key, buffer, size); });
}

Result<std::vector<Xattr>> read_xattrs_at(int dir, const std::string& name) {
  const std::string path = through_proc(dir, name);
  return read_all_xattrs(
      [&](char* buffer, std::size_t size) { return ::llistxattr(path.c_str(), buffer, size); },
      [&](const char* key, char* buffer, std::size_t size) {
        return ::lgetxattr(path.c_str(), key, buffer, size);
      });
}

Result<std::optional<std::string>> get_xattr(int fd, const std::string& key) {
  return read_sized(
      [&](char* buffer, std::size_t size) { return ::fgetxattr(fd, key.c_str(), buffer, size); });
}

Result<std::optional<std::string>> get_xattr_at(int dir, const std::string& name, const std::string& key) {
  const std::string path = through_proc(dir, name);
  return read_sized(
      [&](char* buffer, std::size_t size) { return ::lgetxattr(path.c_str(), key.c_str(), buffer, size); });
}

Result<void> remove_xattr(int fd, const std::string& key) {
  if (::fremovexattr(fd, key.c_str()) == 0 || absent(errno)) return {};
  return fail_errno(fmt::format("cannot remove the extended attribute {}", key));
}

Result<void> copy_bytes(int from, int to, std::uint64_t size) {
  off_t in = 0;
  off_t out = 0;
  std::vector<char> buffer;  // only where copy_file_range cannot (another file system)
  while (static_cast<std::uint64_t>(in) < size) {
    const std::size_t left = size - static_cast<std::uint64_t>(in);
    ssize_t count = buffer.empty() ? ::copy_file_range(from, &in, to, &out, left, 0) : -1;
    if (count < 0 && buffer.empty() && errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP) {
      return fail_errno("cannot copy a file");
    }
    if (count < 0) {
      buffer.resize(1 << 17);
      count = ::pread(from, buffer.data(), std::min(left, buffer.size()), in);
      if (count < 0) return fail_errno("cannot read a file to copy");
      if (::pwrite(to, buffer.data(), static_cast<std::size_t>(count), out) != count) {
        return fail_errno("cannot write a copy");
      }
      in += count;
      out += count;
    }
    if (count == 0) return fail(Code::Aborted, "cannot copy a file: it shrank meanwhile");
  }
  return {};
}

}  // namespace berth::sys

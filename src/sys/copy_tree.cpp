#include "sys/copy_tree.hpp"

#include <dirent.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "sys/fd.hpp"

namespace berth::sys {
namespace {

constexpr int kMaxDepth = 64;

// getdents64(2); glibc's readdir(3) allocates.
struct Entry {
  std::uint64_t inode;
  std::int64_t offset;
  std::uint16_t size;
  std::uint8_t type;
  char name[];
};

int copy_below(int from, int to, dev_t device, int depth) noexcept;

int copy_attributes(int from, int to) noexcept {
  std::array<char, 4096> names;
  std::array<char, 4096> value;
  const ssize_t size = ::flistxattr(from, names.data(), names.size());
  if (size < 0) return errno == EOPNOTSUPP ? 0 : errno;
  for (const char* name = names.data(); name < names.data() + size; name += std::strlen(name) + 1) {
    const ssize_t length = ::fgetxattr(from, name, value.data(), value.size());
    if (length < 0) return errno;
    // tmpfs keeps only some of the name spaces.
    if (::fsetxattr(to, name, value.data(), static_cast<std::size_t>(length), 0) != 0 && errno != EOPNOTSUPP)
      return errno;
  }
  return 0;
}

int set_owner_and_mode(int to, const struct stat& info) noexcept {
  if (::fchown(to, info.st_uid, info.st_gid) != 0) return errno;
  if (::fchmod(to, info.st_mode & 07777) != 0) return errno;
  const timespec times[2] = {info.st_atim, info.st_mtim};
  return ::futimens(to, times) == 0 ? 0 : errno;
}

int copy_file(int from_dir, int to_dir, const char* name, const struct stat& info) noexcept {
  const Fd from(::openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!from) return errno;
  const Fd to(::openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!to) return errno;
  for (;;) {
    const ssize_t count = ::sendfile(to.get(), from.get(), nullptr, std::size_t{1} << 20);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) break;
  }
  if (const int error = copy_attributes(from.get(), to.get()); error != 0) return error;
  return set_owner_and_mode(to.get(), info);
}

int copy_link(int from_dir, int to_dir, const char* name, const struct stat& info) noexcept {
  std::array<char, PATH_MAX> target;
  const ssize_t length = ::readlinkat(from_dir, name, target.data(), target.size() - 1);
  if (length < 0) return errno;
  target[static_cast<std::size_t>(length)] = '\0';
  if (::symlinkat(target.data(), to_dir, name) != 0) return errno;
  return ::fchownat(to_dir, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

int copy_node(int to_dir, const char* name, const struct stat& info) noexcept {
  if (::mknodat(to_dir, name, info.st_mode & (S_IFMT | 0777), info.st_rdev) != 0) return errno;
  if (::fchownat(to_dir, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  return ::fchmodat(to_dir, name, info.st_mode & 07777, 0) == 0 ? 0 : errno;
}

int copy_directory(int from_dir, int to_dir, const char* name, const struct stat& info, int depth) noexcept {
  const Fd from(::openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!from) return errno;
  if (::mkdirat(to_dir, name, 0700) != 0) return errno;
  const Fd to(::openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!to) return errno;
  if (const int error = copy_below(from.get(), to.get(), info.st_dev, depth + 1); error != 0) return error;
  if (const int error = copy_attributes(from.get(), to.get()); error != 0) return error;
  return set_owner_and_mode(to.get(), info);
}

int copy_entry(int from, int to, const char* name, dev_t device, int depth) noexcept {
  struct stat info {};
  if (::fstatat(from, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT ? 0 : errno;
  if (info.st_dev != device) return 0;  // something is mounted there
  if (S_ISREG(info.st_mode)) return copy_file(from, to, name, info);
  if (S_ISDIR(info.st_mode)) return copy_directory(from, to, name, info, depth);
  if (S_ISLNK(info.st_mode)) return copy_link(from, to, name, info);
  return copy_node(to, name, info);
}

int copy_below(int from, int to, dev_t device, int depth) noexcept {
  if (depth >= kMaxDepth) return ELOOP;
  alignas(Entry) std::array<char, 4096> buffer;
  for (;;) {
    const long count = ::syscall(SYS_getdents64, from, buffer.data(), buffer.size());
    if (count < 0) return errno;
    if (count == 0) return 0;
    for (long at = 0; at < count;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer.data() + at);
      at += entry->size;
      if (std::strcmp(entry->name, ".") == 0 || std::strcmp(entry->name, "..") == 0) continue;
      if (const int error = copy_entry(from, to, entry->name, device, depth); error != 0) return error;
    }
  }
}

}  // namespace

int copy_tree(int from, int to) noexcept {
  struct stat info {};
  if (::fstat(from, &info) != 0) return errno;
  return copy_below(from, to, info.st_dev, 0);
}

}  // namespace berth::sys

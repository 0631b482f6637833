#include "sys/mount_target.hpp"

#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string_view>

namespace berth::sys {
namespace {

constexpr int kMaxLinks = 8;  // symlinks that lead nowhere, in a row

using Path = std::array<char, PATH_MAX>;

int resolve(int root, const char* path, bool no_symlinks, int* fd) noexcept {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | (no_symlinks ? RESOLVE_NO_SYMLINKS : RESOLVE_NO_MAGICLINKS);
  for (;;) {
    const long result = ::syscall(SYS_openat2, root, path, &how, sizeof how);
    if (result >= 0) {
      *fd = static_cast<int>(result);
      return 0;
    }
    // EAGAIN: somebody renamed a directory meanwhile and the kernel could not prove that we stayed inside.
    if (errno != EAGAIN && errno != EINTR) return errno;
  }
}

int make_path(int root, const char* path, const TargetOptions& options, int links) noexcept;

// `name` in `parent` (which is `walked` below the root) is a symlink that leads nowhere yet: makes what it
// names.
int make_behind_link(int root, int parent, const char* walked, std::size_t parent_length, const char* name,
                     const TargetOptions& options, int links) noexcept {
  if (links >= kMaxLinks) return ELOOP;
  Path target;
  const ssize_t length = ::readlinkat(parent, name, target.data(), target.size() - 1);
  if (length < 0) return errno == EINVAL ? 0 : errno;  // by now no symlink: somebody else was faster
  const auto size = static_cast<std::size_t>(length);
  target[size] = '\0';
  if (target[0] == '/') return make_path(root, target.data(), options, links + 1);
  Path whole;
  if (parent_length + size + 2 > whole.size()) return ENAMETOOLONG;
  std::memcpy(whole.data(), walked, parent_length);
  whole[parent_length] = '/';
  std::memcpy(whole.data() + parent_length + 1, target.data(), size + 1);
  return make_path(root, whole.data(), options, links + 1);
}

int make_one(int parent, const char* name, TargetKind kind) noexcept {
  if (kind == TargetKind::Directory) return ::mkdirat(parent, name, 0755) == 0 ? 0 : errno;
  const Fd made(::openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644));
  return made ? 0 : errno;
}

// Makes the component of `walked` that begins at `start`, unless it is there.
int make_step(int root, char* walked, std::size_t start, const TargetOptions& options, int links) noexcept {
  int fd = -1;
  const int found = resolve(root, walked, options.no_symlinks, &fd);
  if (found == 0) ::close(fd);
  if (found != ENOENT) return found;
  const std::size_t parent_length = start - 1;
  walked[parent_length] = '\0';
  const int error = resolve(root, parent_length == 0 ? "/" : walked, options.no_symlinks, &fd);
  walked[parent_length] = '/';
  if (error != 0) return error;
  const Fd parent(fd);
  const int made = make_one(parent.get(), walked + start, options.kind);
  if (made != EEXIST) return made;
  return make_behind_link(root, parent.get(), walked, parent_length, walked + start, options, links);
}

int make_path(int root, const char* path, const TargetOptions& options, int links) noexcept {
  Path walked;
  const std::size_t length = std::strlen(path);
  if (length + 2 > walked.size()) return ENAMETOOLONG;
  const std::size_t lead = path[0] == '/' ? 0 : 1;
  walked[0] = '/';
  std::memcpy(walked.data() + lead, path, length + 1);
  std::size_t end = lead + length;
  while (end > 1 && walked[end - 1] == '/') walked[--end] = '\0';
  TargetOptions above = options;
  above.kind = TargetKind::Directory;
  std::size_t start = 1;
  for (std::size_t at = 1; at < end; ++at) {
    if (walked[at] != '/') continue;
    walked[at] = '\0';
    const int error = at == start ? 0 : make_step(root, walked.data(), start, above, links);
    walked[at] = '/';
    if (error != 0) return error;
    start = at + 1;
  }
  return start < end ? make_step(root, walked.data(), start, options, links) : 0;
}

// runc, libcontainer/rootfs_linux.go, checkProcMount.
constexpr std::array<std::string_view, 12> kReplaceable = {"/proc/cpuinfo", "/proc/diskstats",
                                                           "/proc/meminfo", "/proc/stat",
                                                           "/proc/swaps",   "/proc/uptime",
                                                           "/proc/loadavg", "/proc/slabinfo",
                                                           "/proc/net/dev", "/proc/sys/kernel/ns_last_pid",
                                                           "/proc/version", "/proc/sys/crypto/fips_enabled"};

bool same_file(int a, int b) noexcept {
  struct stat first {};
  struct stat second {};
  return ::fstat(a, &first) == 0 && ::fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

}  // namespace

int open_target_in(int root, const char* path, const TargetOptions& options, int* target_fd) noexcept {
  if (path[0] == '\0') return EINVAL;
  const int error = resolve(root, path, options.no_symlinks, target_fd);
  if (error != ENOENT || !options.make) return error;
  if (const int failed = make_path(root, path, options, 0); failed != 0) return failed;
  return resolve(root, path, options.no_symlinks, target_fd);
}

int open_target(const char* path, TargetKind kind, bool no_symlinks, int* target_fd) noexcept {
  const Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno;
  return open_target_in(root.get(), path, {kind, no_symlinks, true}, target_fd);
}

int check_procfs_target(int target, const char* path) noexcept {
  struct statfs info {};
  if (::fstatfs(target, &info) != 0) return errno;
  if (info.f_type != PROC_SUPER_MAGIC) return 0;
  for (const std::string_view known : kReplaceable) {
    if (known != path) continue;
    // Reached by another way, the same name would be another file.
    const Fd direct(::open(path, O_PATH | O_CLOEXEC));
    return direct && same_file(direct.get(), target) ? 0 : EPERM;
  }
  return EPERM;
}

}  // namespace berth::sys

#include "sys/procfs.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "sys/fd.hpp"

namespace berth::sys {
namespace {

constexpr ino_t kRootInode = 1;  // linux/proc_fs.h, PROC_ROOT_INO

int open_beneath(int dir, const char* path, int flags, std::uint64_t resolve) noexcept {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, dir, path, &how, sizeof how));
}

}  // namespace

int open_proc_file(const char* path, int flags, int* fd) noexcept {
  const Fd proc(open_beneath(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS));
  struct statfs file_system {};
  struct stat directory {};
  if (!proc || ::fstatfs(proc.get(), &file_system) != 0 || ::fstat(proc.get(), &directory) != 0) return errno;
  if (file_system.f_type != PROC_SUPER_MAGIC || directory.st_ino != kRootInode) return EXDEV;
  // "thread-self" is a symlink, and one that stays below.
  *fd = open_beneath(proc.get(), path, flags, RESOLVE_BENEATH | RESOLVE_NO_XDEV);
  return *fd < 0 ? errno : 0;
}

}  // namespace berth::sys

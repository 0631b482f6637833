#include "sys/root.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "sys/fd.hpp"

namespace berth::sys {
namespace {

constexpr unsigned kUnmountDetach = 2;  // MNT_DETACH

int as_errno(long result) noexcept { return result < 0 ? errno : 0; }

int pivot() noexcept {
  // pivot_root(".", "."): the two roots end up stacked at the same place (pivot_root(2), NOTES).
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno;
  return as_errno(::syscall(SYS_umount2, ".", kUnmountDetach));
}

// A RAM disk cannot be pivoted away from: the new root covers it instead.
int move_over(int root) noexcept {
  if (::syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) return errno;
  return as_errno(::chroot("."));
}

}  // namespace

int enter_root(int mount_fd, const char* place, int* host_root) noexcept {
  *host_root = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (*host_root < 0) return errno;
  if (::syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) != 0) return errno;
  if (::fchdir(mount_fd) != 0) return errno;
  if (::chroot(".") != 0) return errno;
  return as_errno(::chdir("/"));
}

int leave_host_root(int host_root, bool by_pivot) noexcept {
  const Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno;
  if (::fchdir(host_root) != 0 || ::chroot(".") != 0) return errno;
  if (::fchdir(root.get()) != 0) return errno;
  if (const int error = by_pivot ? pivot() : move_over(root.get()); error != 0) return error;
  return as_errno(::chdir("/"));
}

}  // namespace berth::sys

#include "sys/terminal.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

namespace berth::sys {
namespace {

// Linux, Documentation/admin-guide/devices.txt.
constexpr unsigned kPtmxMajor = 5;
constexpr unsigned kPtmxMinor = 2;

}  // namespace

int open_terminal(int* master, int* slave) noexcept {
  // It may be a container's, which can have put anything there.
  Fd opened(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!opened || ::fstat(opened.get(), &info) != 0) return errno;
  if (!S_ISCHR(info.st_mode) || info.st_rdev != ::makedev(kPtmxMajor, kPtmxMinor)) return ENODEV;
  if (::fcntl(opened.get(), F_SETFL, O_RDWR) != 0) return errno;
  int unlocked = 0;
  if (::ioctl(opened.get(), TIOCSPTLCK, &unlocked) != 0) return errno;
  const int peer = ::ioctl(opened.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (peer < 0) return errno;
  *master = opened.release();
  *slave = peer;
  return 0;
}

WindowSize window_size(int fd) {
  winsize size{};
  if (::ioctl(fd, TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_row, size.ws_col};
}

Result<void> set_window_size(int fd, WindowSize size) {
  winsize raw{};
  raw.ws_row = size.rows;
  raw.ws_col = size.columns;
  if (::ioctl(fd, TIOCSWINSZ, &raw) != 0) return fail_errno("cannot set the terminal's size");
  return {};
}

}  // namespace berth::sys

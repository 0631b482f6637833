#include "sys/terminal.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>

namespace berth::sys {

int open_terminal(int* master, int* slave) noexcept {
  Fd opened(::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!opened) return errno;
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

#include "sys/tty.hpp"

#include <unistd.h>

#include <utility>

namespace berth::sys {

bool is_terminal(int fd) { return ::isatty(fd) == 1; }

Result<void> make_raw(int fd) {
  termios mode{};
  if (::tcgetattr(fd, &mode) != 0) return fail_errno("cannot read the terminal's mode");
  ::cfmakeraw(&mode);
  if (::tcsetattr(fd, TCSANOW, &mode) != 0) return fail_errno("cannot put the terminal into raw mode");
  return {};
}

Result<RawMode> RawMode::enter(int fd) {
  termios before{};
  if (::tcgetattr(fd, &before) != 0) return fail_errno("cannot read the terminal's mode");
  termios raw = before;
  ::cfmakeraw(&raw);
  if (::tcsetattr(fd, TCSANOW, &raw) != 0) return fail_errno("cannot put the terminal into raw mode");
  return RawMode(fd, before);
}

RawMode::RawMode(RawMode&& other) noexcept : fd_(std::exchange(other.fd_, -1)), before_(other.before_) {}

RawMode::~RawMode() {
  if (fd_ >= 0) ::tcsetattr(fd_, TCSADRAIN, &before_);
}

}  // namespace berth::sys

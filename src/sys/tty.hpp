// The terminal that a person types at: raw mode, and its end.
#pragma once

#include <termios.h>

#include "base/result.hpp"

namespace berth::sys {

bool is_terminal(int fd);

// Raw mode for good: for a terminal of our own making.
Result<void> make_raw(int fd);

// Puts a terminal into raw mode for as long as it lives.
class RawMode {
 public:
  static Result<RawMode> enter(int fd);
  RawMode(RawMode&& other) noexcept;
  RawMode& operator=(RawMode&&) = delete;
  ~RawMode();

 private:
  RawMode(int fd, const termios& before) : fd_(fd), before_(before) {}
  int fd_;
  termios before_;
};

}  // namespace berth::sys

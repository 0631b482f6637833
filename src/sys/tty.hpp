// Terminals: raw mode that is undone, and window sizes.
#pragma once

#include <termios.h>

#include <cstdint>
#include <optional>

#include "base/result.hpp"

namespace berth::sys {

struct WindowSize {
  std::uint16_t rows = 0;
  std::uint16_t columns = 0;
};

bool is_terminal(int fd);
// Nothing where `fd` is no terminal.
std::optional<WindowSize> window_size(int fd);
Result<void> set_window_size(int fd, WindowSize size);

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

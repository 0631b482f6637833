// Pseudo-terminals.
#pragma once

#include <sys/types.h>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

// Opens /dev/ptmx below the present root and its peer by descriptor, so that no path of the other side is
// trusted. Usable between fork and exec: 0 or errno. Both descriptors are close-on-exec.
int open_terminal(int* master, int* slave) noexcept;

// The window size of a terminal; {0, 0} where `fd` is none.
struct WindowSize {
  unsigned short rows = 0;
  unsigned short columns = 0;
};
WindowSize window_size(int fd);
Result<void> set_window_size(int fd, WindowSize size);

}  // namespace berth::sys

// Copying what a directory holds into another, by descriptors.
#pragma once

namespace berth::sys {

// Files, directories, symlinks, devices, pipes and sockets below `from` go into the directory `to`, with
// owners, modes, times and extended attributes; hard links become copies. Stays on the file system of `from`.
// Both are directories opened for reading. 0 or an errno (ELOOP below 64 levels); allocates nothing.
int copy_tree(int from, int to) noexcept;

}  // namespace berth::sys

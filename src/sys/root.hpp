// Changing to another root directory in two steps. Between them this process sees the new root alone while
// the host's is still mounted, so that programs can be run outside and descriptors of host paths stay good.
#pragma once

namespace berth::sys {

// Mounts the detached tree `mount_fd` on `place` (a directory of the present root) and makes it this
// process's root and working directory. `host_root` becomes a descriptor of the old root. 0 or an errno;
// allocates nothing.
int enter_root(int mount_fd, const char* place, int* host_root) noexcept;

// Makes the root that enter_root() entered the mount namespace's own, and lets go of the host's: by
// pivot_root(2), or (`pivot` false, for a host on a RAM disk) by moving it over.
int leave_host_root(int host_root, bool pivot) noexcept;

}  // namespace berth::sys

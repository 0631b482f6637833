// The descriptor-based mount API (fsopen(2), open_tree(2), move_mount(2), mount_setattr(2); Linux 5.12). A
// mount is first made detached, then attached to a target that was opened safely: no path is looked up twice.
//
// The `noexcept` functions give 0 or an errno and allocate nothing, so they serve between fork and exec.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

// One key of fsconfig(2). A null value is a flag ("ro"); fd >= 0 passes a descriptor instead of text.
struct FsOption {
  const char* key = nullptr;
  const char* value = nullptr;
  int fd = -1;
};

// A new detached file system of `type`; `attributes` are MOUNT_ATTR_*. The descriptor is close-on-exec.
int new_mount(const char* type, std::span<const FsOption> options, std::uint64_t attributes,
              int* mount_fd) noexcept;
// As above, for the parent's side: the error carries what the kernel wrote to the context's log.
Result<Fd> make_mount(const std::string& type, const std::vector<FsOption>& options,
                      std::uint64_t attributes);

// A detached copy of the mount at `path` (relative to `dir`; "" is `dir` itself), with all below it where
// `recursive`.
int clone_mount(int dir, const char* path, bool recursive, int* mount_fd) noexcept;

// mount_setattr(2) on the mount that `fd` is the root of. `propagation`: MS_PRIVATE, MS_SLAVE, ... or 0.
int change_mount(int fd, bool recursive, std::uint64_t set, std::uint64_t clear,
                 std::uint64_t propagation) noexcept;
// The same for the path `path`.
int change_mount_at(const char* path, bool recursive, std::uint64_t set, std::uint64_t clear,
                    std::uint64_t propagation) noexcept;
// Ids on the mount are shifted by the user namespace `user_namespace`; the mount must still be detached.
int idmap_mount(int fd, int user_namespace, bool recursive = false) noexcept;
// Changes options of the file system (not of the mount alone) that `fd` is the root of: mount(8)'s "remount".
int reconfigure_mount(int fd, std::span<const FsOption> options) noexcept;

int attach_mount(int mount_fd, int target_fd) noexcept;

// Makes the detached mount `mount_fd` the root directory, and the working directory too. Needs a mount
// namespace of its own. The old root stays mounted, out of sight below the new one, until drop_old_root(): in
// a user namespace the kernel makes a new procfs or sysfs only where one is already to be seen
// (mount_namespaces(7)).
int pivot_into(int mount_fd) noexcept;
int drop_old_root() noexcept;

}  // namespace berth::sys

// Finding, and making where missing, the place in a root file system where something is to be mounted. The
// root's content is hostile: no symlink, "..", rename under way or link of /proc leads out of it or makes
// anything outside.
#pragma once

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

// What a mount target must be.
enum class TargetKind { Directory, File };

struct TargetOptions {
  TargetKind kind = TargetKind::Directory;
  bool no_symlinks = false;  // a symlink anywhere in the path is an error (ELOOP)
  bool make = true;          // what is missing: directories of mode 0755, an empty file of mode 0644
};

// Opens (O_PATH) the target `path` below `root` as if that were "/". Links of /proc to descriptors and roots
// (magic links) are ELOOP; a symlink that leads nowhere yet has its own target made. Each step is looked up
// from the root anew by openat2(2), so a race cannot escape. 0 or an errno; allocates nothing.
int open_target_in(int root, const char* path, const TargetOptions& options, int* target_fd) noexcept;
// The same below the present root directory.
int open_target(const char* path, TargetKind kind, bool no_symlinks, int* target_fd) noexcept;

// Over /proc only what shows figures of the machine may be mounted: a mount elsewhere would hide from
// programs, security modules among them, what they write to (runc, CVE-2019-16884, CVE-2019-19921). EPERM
// where the file system of `target` is a procfs and `path` not one of those files or not what it is called;
// else 0.
int check_procfs_target(int target, const char* path) noexcept;

}  // namespace berth::sys

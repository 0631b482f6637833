// Child steps that mount, shared by the isolators. All run after pivot_root, when "/" is the unit's own root.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "isolate/launch_plan.hpp"
#include "isolate/mount_options.hpp"
#include "sys/mount.hpp"
#include "sys/mount_target.hpp"

namespace berth::isolate {

// A file system to be made by the child, inside its namespaces.
struct NewFilesystem {
  std::string type;
  std::string target;
  std::vector<std::pair<std::string, std::string>> options;  // an empty value is a flag
  std::uint64_t attributes = attr::kNoSuid | attr::kNoDev | attr::kNoExec;
  bool no_symlinks = true;  // what the target's path may hold
  bool copy_up = false;     // starts with what the target holds
  AttributeChange tree;
  std::vector<PropagationChange> propagation;
};
void mount_new(LaunchPlan& plan, NewFilesystem filesystem);

// Attaches a mount that the parent made to `target` (made if missing). Over files of /proc only where
// sys::check_procfs_target() allows it.
void mount_prepared(LaunchPlan& plan, sys::Fd mount, const std::string& target, sys::TargetKind kind);

// The same in the child: 0 or an errno; allocates nothing.
int attach_safely(int mount, const char* target, sys::TargetKind kind) noexcept;

// A detached copy of a host path, its mounts below included where `recursive`. It belongs to no peer group of
// the host's mounts: what is mounted below it later, on either side, stays there.
Result<sys::Fd> clone_host_path(const std::string& path, bool recursive);
// The same of what a descriptor refers to; it still is a peer of the host's mount, where that one is shared.
Result<sys::Fd> clone_host_file(int fd, bool recursive, const std::string& name);

}  // namespace berth::isolate

// Child steps that mount, shared by the isolators. All run after pivot_root, when "/" is the unit's own root.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "isolate/launch_plan.hpp"
#include "sys/mount.hpp"

namespace berth::isolate {

// MOUNT_ATTR_* of <linux/mount.h>, which cannot be included next to glibc's <sys/mount.h>.
namespace attr {
inline constexpr std::uint64_t kReadOnly = 0x1;
inline constexpr std::uint64_t kNoSuid = 0x2;
inline constexpr std::uint64_t kNoDev = 0x4;
inline constexpr std::uint64_t kNoExec = 0x8;
}  // namespace attr

// A file system to be made by the child, inside its namespaces.
struct NewFilesystem {
  std::string type;
  std::string target;
  std::vector<std::pair<std::string, std::string>> options;  // an empty value is a flag
  std::uint64_t attributes = attr::kNoSuid | attr::kNoDev | attr::kNoExec;
  bool no_symlinks = true;  // what the target's path may hold
};
void mount_new(LaunchPlan& plan, NewFilesystem filesystem);

// Attaches a mount that the parent made to `target` (made if missing).
void mount_prepared(LaunchPlan& plan, sys::Fd mount, const std::string& target, sys::TargetKind kind);

// A detached copy of a host path, its mounts below included where `recursive`.
Result<sys::Fd> clone_host_path(const std::string& path, bool recursive);

// Whether this process lives in a user namespace with less than all of the host's users (rootless).
bool in_user_namespace();

}  // namespace berth::isolate

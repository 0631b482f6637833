// One mount of an OCI configuration (config.md, "Mounts").
#pragma once

#include <string>
#include <vector>

#include "isolate/launch_plan.hpp"
#include "isolate/mount_options.hpp"
#include "sys/idmap.hpp"

namespace berth::isolate {

struct MountRequest {
  std::string field;        // how errors call it: "mounts[3]"
  std::string destination;  // absolute path in the unit
  std::string type;         // "bind" and "none" with the option bind or rbind; else the kernel's
  std::string source;       // absolute host path of a bind
  MountOptions options;
  // For idmap and ridmap: the mount's own mappings, or else the unit's.
  std::vector<sys::IdRange> users;
  std::vector<sys::IdRange> groups;
  // linux.mountLabel, the SELinux context of what a new file system holds; a bind mount keeps its source's.
  std::string label;
};

// Adds what makes the mount to the plan, after the steps that are there. A bind's source is opened now, as
// are the host's files that another type names (overlay, a disk); with words for propagation it takes part in
// the host's as they say, without any it does not. Where a source is a file the target is one too.
// FailedPrecondition where the kernel cannot shift users on the source's file system, or has no
// SELinux for a label.
Result<void> add_mount(LaunchPlan& plan, MountRequest request);

}  // namespace berth::isolate

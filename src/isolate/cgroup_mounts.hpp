// A unit's view of its control groups, so that programs which look there find their limits.
#pragma once

#include <cstdint>
#include <string>

#include "isolate/launch_plan.hpp"
#include "isolate/mount_options.hpp"

namespace berth::isolate {

struct CgroupView {
  std::string destination = "/sys/fs/cgroup";
  std::uint64_t attributes = attr::kReadOnly | attr::kNoSuid | attr::kNoDev | attr::kNoExec;
  // In a cgroup namespace of its own the unit's group is the root of what is mounted; without one, the host's
  // directories of that group are shown.
  bool own_namespace = true;
};

// Version 2 at the destination itself; version 1 as one directory a hierarchy on a tmpfs, with a link for
// each controller that shares one ("cpu" to "cpu,cpuacct"). The plan's control group must have been made.
// Nothing where the host has no control groups.
Result<void> mount_cgroups(LaunchPlan& plan, const CgroupView& view);

}  // namespace berth::isolate

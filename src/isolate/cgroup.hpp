// Where a unit's control group is.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "isolate/config.hpp"
#include "sys/cgroup.hpp"
#include "sys/cgroup_dir.hpp"

namespace berth::isolate {

// What the machine offers, read once: it does not change under a running program.
Result<const sys::CgroupHost*> cgroup_host();

// "berth/<id>", relative to where this host lets berth make groups.
std::string cgroup_path(const UnitConfig& config);

// The unit's group; null where it has none: not started, ended, or groups are not ours to make (rootless).
Result<std::unique_ptr<sys::Cgroup>> find_cgroup(const UnitConfig& config);

// The control group `path` (relative to the base); null where there is none, or where groups are not ours to
// make.
Result<std::unique_ptr<sys::Cgroup>> find_cgroup_at(const std::string& path);

// Under version 2, the group below `group` that process `pid` is in; nothing where it is elsewhere.
Result<std::optional<sys::CgroupDir>> group_below(const sys::Cgroup& group, pid_t pid);

// What every container may use: the devices of its /dev, terminals, and making (not opening) any node (runc,
// libcontainer/specconv, AllowedDevices; runtime-spec, "default devices").
const std::vector<sys::DeviceRule>& customary_device_rules();

}  // namespace berth::isolate

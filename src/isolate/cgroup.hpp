// Where a unit's control group is.
#pragma once

#include <memory>
#include <string>

#include "isolate/config.hpp"
#include "sys/cgroup.hpp"

namespace berth::isolate {

// What the machine offers, read once: it does not change under a running program.
Result<const sys::CgroupHost*> cgroup_host();

// "berth/<id>", relative to where this host lets berth make groups.
std::string cgroup_path(const UnitConfig& config);

// The unit's group; null where it has none: not started, ended, or groups are not ours to make (rootless).
Result<std::unique_ptr<sys::Cgroup>> find_cgroup(const UnitConfig& config);

}  // namespace berth::isolate

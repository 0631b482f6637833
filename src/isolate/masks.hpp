// Paths that a unit must not read or not write.
#pragma once

#include <string>

#include "isolate/launch_plan.hpp"

namespace berth::isolate {

// Covers a file with /dev/null, a directory with an empty read-only tmpfs. What does not exist needs no
// cover. EINVAL where the unit's /dev/null is not the null device: an image could have put a link there that
// would be mounted instead (runc, CVE-2025-31133).
void mask_path(LaunchPlan& plan, const std::string& path);

// Makes a path and the mounts below it read-only. Absent is fine.
void make_path_read_only(LaunchPlan& plan, const std::string& path);

}  // namespace berth::isolate

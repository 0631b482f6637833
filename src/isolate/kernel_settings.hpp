// Sysctls and resource limits as steps of a plan.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "isolate/launch_plan.hpp"

namespace berth::isolate {

// Which namespaces are a unit's own, and with them which sysctls.
struct SysctlScope {
  bool ipc = false;
  bool network = false;
  bool uts = false;
  bool everything = false;  // a privileged unit may change the host's
};

// Writes /proc/sys below the unit's own root. InvalidArgument, beginning with `field`, where the setting is
// the host's too.
Result<void> add_sysctl(LaunchPlan& plan, const std::string& key, const std::string& value,
                        const SysctlScope& scope, std::string_view field);

// Without CAP_SYS_RESOURCE a hard limit can only go down: goes as far as it can then, and says so in the log.
Result<void> add_rlimit(LaunchPlan& plan, const Rlimit& wanted, std::string_view field);

}  // namespace berth::isolate

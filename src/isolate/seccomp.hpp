// Steps that take away what a process may ask of the kernel.
#pragma once

#include "base/result.hpp"
#include "isolate/launch_plan.hpp"
#include "sys/seccomp.hpp"

namespace berth::isolate {

// The system call filter, compiled or from the cache. With no-new-privileges (which must be in the plan
// already) it is installed last of all, so that it need not allow what comes before the program; otherwise
// that takes CAP_SYS_ADMIN, and it comes before any privilege is given away.
Result<void> add_filter(LaunchPlan& plan, const sys::SeccompProfile& profile, bool no_new_privileges);

void add_no_new_privileges(LaunchPlan& plan);

}  // namespace berth::isolate

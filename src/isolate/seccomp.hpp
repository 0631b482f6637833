// Steps that take away what a process may ask of the kernel.
#pragma once

#include <sys/types.h>

#include <functional>

#include "base/result.hpp"
#include "isolate/launch_plan.hpp"
#include "sys/seccomp.hpp"

namespace berth::isolate {

// Gets the descriptor that a filter's calls are answered by (seccomp_unotify(2)) to who answers them. `pid`
// is the process that has the filter.
using HandOver = std::function<Result<void>(pid_t pid, int listener)>;

// The system call filter, compiled or from the cache. With no-new-privileges (which must be in the plan
// already) it is installed last of all, so that it need not allow what comes before the program; otherwise
// that takes CAP_SYS_ADMIN, and it comes before any privilege is given away. One that has a listener is
// installed while the launcher is there to call `hand_over`: before the gate.
Result<void> add_filter(LaunchPlan& plan, const sys::SeccompProfile& profile, bool no_new_privileges,
                        HandOver hand_over = {});

void add_no_new_privileges(LaunchPlan& plan);

}  // namespace berth::isolate

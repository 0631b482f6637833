// Carries out a launch plan: clones the child, puts it into its control group, lets it run its steps, and
// waits until its program has been exec'ed or something kept it from that.
#pragma once

#include <sys/types.h>

#include "base/result.hpp"
#include "isolate/launch_plan.hpp"
#include "sys/fd.hpp"

namespace berth::isolate {

struct LaunchedProcess {
  pid_t pid = -1;
  sys::Fd pidfd;
  sys::Fd terminal;  // master; empty without a new terminal
};

// The caller must be single-threaded and is the new process's parent. A program that does not exist is
// NotFound, one that cannot be invoked PermissionDenied, both with the errno of execve(2); no other failure
// has these codes. On failure the process is gone and reaped; the plan's control group is the caller's to
// remove.
Result<LaunchedProcess> launch(LaunchPlan& plan, const Stdio& stdio);

// An error of what comes before the program: never NotFound or PermissionDenied, which speak of the program
// alone.
Error before_program(Error error);

}  // namespace berth::isolate

// Carries out a launch plan: clones the child, puts it into its control group, lets it run its steps, and
// waits until its program has been exec'ed or something kept it from that.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.hpp"
#include "isolate/launch_plan.hpp"
#include "sys/fd.hpp"

namespace berth::isolate {

struct LaunchedProcess {
  pid_t pid = -1;
  sys::Fd pidfd;
  sys::Fd terminal;  // master; empty without a new terminal
};

// Comes back once the program runs or, with a gate, once the child waits at it. The caller must be
// single-threaded and is the new process's parent. A program that does not exist is NotFound, one that cannot
// be invoked PermissionDenied, both with the errno of execve(2); no other failure has these codes. On failure
// the process is gone and reaped; the plan's control group is the caller's to remove.
Result<LaunchedProcess> launch(LaunchPlan& plan, const Stdio& stdio);

// Lets the process that waits at the gate with the listener `directory`/`name` run its program; comes back
// once it does, or with what kept it from that, as launch() would.
Result<void> open_gate(const std::string& directory, const std::string& name);

// Why `program` cannot be run, execve(2) having said `error`: NotFound or PermissionDenied.
Error program_error(const std::string& program, int error);

// An error of what comes before the program: never NotFound or PermissionDenied, which speak of the program
// alone.
Error before_program(Error error);

}  // namespace berth::isolate

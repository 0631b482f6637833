// Staying with a process until it ends: signals and, with a terminal, what is typed and printed go through.
#pragma once

#include "base/result.hpp"
#include "isolate/launcher.hpp"

namespace berth::oci {

// Gives the process's exit code, 128 + N where signal N ended it. `process` is a child and gets reaped.
// Signals that reach this process go on to it; they must have been blocked by block_forwarded_signals()
// before it was started.
Result<int> stay_with(isolate::LaunchedProcess& process);

void block_forwarded_signals();

}  // namespace berth::oci

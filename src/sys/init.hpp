// The first process of a pid namespace: passes signals on and reaps what is orphaned.
#pragma once

#include <sys/types.h>

namespace berth::sys {

// Blocks every signal, as run_init() expects; before the workload is cloned, so that none is lost.
void block_all_signals() noexcept;

// Stays until `workload`, its child, ends; then ends with the workload's exit code (128 + N for signal N).
// Closes all descriptors. Allocates nothing.
[[noreturn]] void run_init(pid_t workload) noexcept;

}  // namespace berth::sys

// Starting a machine: its files, its process, and the wait until the workload runs.
#pragma once

#include "unit/unit.hpp"

namespace berth::unit {

// NotFound and PermissionDenied speak of the workload's program alone. On failure the process is gone; its
// control group is the caller's to remove.
Result<Launched> start_machine(const UnitConfig& config, const InstancePaths& paths, const Stdio& stdio);

inline constexpr std::string_view kMachineSocket = "machine.sock";  // in the run directory
std::string ending_file(const InstancePaths& paths);
std::string console_file(const InstancePaths& paths);

}  // namespace berth::unit

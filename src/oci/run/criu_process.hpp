// Running CRIU for one request: `criu swrk FD`, which serves the socket that it is born with.
#pragma once

#include <string>

#include "base/result.hpp"
#include "isolate/launch_plan.hpp"
#include "oci/run/criu_rpc.hpp"

namespace berth::oci {

// Keeps descriptor `fd` open, by this number, in the program that `plan` starts.
void hand_on(int fd, std::string what, isolate::LaunchPlan& plan);

// Starts `program` by `plan`, which says in what surroundings, asks it, and waits for its end. `log` is the
// file that the request has it write: FailedPrecondition has the end of it.
Result<CriuOutcome> run_criu(const std::string& program, const CriuRequest& request, const std::string& log,
                             isolate::LaunchPlan& plan);

}  // namespace berth::oci

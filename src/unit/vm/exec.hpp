// One more process in a running machine.
#pragma once

#include "unit/unit.hpp"

namespace berth::unit {

// The process that is given is a proxy of the guest's: it passes streams and signals on and ends as that
// does.
Result<Launched> exec_in_machine(const InstancePaths& paths, const ExecConfig& exec, const Stdio& stdio);

}  // namespace berth::unit

// Who answers the system calls that a filter hands on (SCMP_ACT_NOTIFY).
#pragma once

#include "isolate/seccomp.hpp"
#include "oci/state/state.hpp"
#include "sys/seccomp.hpp"

namespace berth::oci {

// Connects to the socket that the profile names, and sends it the filter's descriptor and what it belongs to:
// the "Container Process State" of runtime-spec, config-linux.md. `status` is the container's at that time.
// The container's own process is the one that is told of, where the state knows of none yet. Both must
// outlive the launch.
isolate::HandOver tell_supervisor(const sys::SeccompProfile& profile, const State& state, Status status);

}  // namespace berth::oci

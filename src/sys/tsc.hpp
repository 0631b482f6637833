// The host's time stamp counter.
#pragma once

#include <cstdint>

#include "base/result.hpp"

namespace berth::sys {

// Ticks a second. FailedPrecondition where it does not count evenly (no invariant TSC). Measured for some
// milliseconds where the processor and the hypervisor below do not tell; then within 20 ppm.
Result<std::uint64_t> tsc_hz();

}  // namespace berth::sys

// The host's time stamp counter.
#pragma once

#include <cstdint>

namespace berth::sys {

// Ticks a second. Measured for some milliseconds where neither the processor nor the hypervisor below tells;
// then within 20 ppm. That it counts evenly is taken for granted: all processors of the last fifteen years
// do, and many hypervisors hide the CPUID bit that says so (0x80000007, EDX bit 8).
std::uint64_t tsc_hz();

}  // namespace berth::sys

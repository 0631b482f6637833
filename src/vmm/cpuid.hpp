// What CPUID tells a guest: the engine's features, with the board's topology, timers and hypervisor leaves.
#pragma once

#include "engine/backend.hpp"

namespace berth::vmm {

struct CpuidBoard {
  unsigned index = 0;  // of the processor; also its APIC id
  unsigned count = 1;
  std::uint64_t tsc_hz = 0;
};

engine::CpuidTable guest_cpuid(const engine::CpuidTable& features, const CpuidBoard& board);

}  // namespace berth::vmm

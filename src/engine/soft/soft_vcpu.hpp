#pragma once

#include <memory>

#include "engine/soft/processors.hpp"
#include "engine/soft/tiers.hpp"
#include "engine/vcpu.hpp"

namespace berth::engine::soft {

// Which of a machine's processors it is.
struct Seat {
  std::shared_ptr<Processors> processors;
  unsigned index = 0;
};

// A processor in its power-on state, alone in its machine where it is given no seat. `memory` and `machine`
// outlive it; `machine` is called on the thread that runs it. All of a machine's are made before one runs.
// ResourceExhausted where memory for generated code can't be had.
Result<std::unique_ptr<VcpuEngine>> make_soft_vcpu(const guest::GuestMemory& memory, Machine& machine,
                                                   Tiers tiers = Tiers::Translator, Seat seat = {});

}  // namespace berth::engine::soft

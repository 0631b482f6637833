// The software engine: an interpreter for every mode of the processor. Needs nothing of the host but its instruction set.
#pragma once

#include <memory>

#include "engine/vcpu.hpp"
#include "guest/memory.hpp"

namespace berth::engine {

// A processor in its power-on state. `memory` and `machine` outlive it; `machine` is called on the thread that runs it.
// ResourceExhausted where memory for generated code can't be had.
Result<std::unique_ptr<VcpuEngine>> make_soft_engine(const guest::GuestMemory& memory, Machine& machine);

}  // namespace berth::engine

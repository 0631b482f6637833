#pragma once

#include <memory>

#include "engine/soft/tiers.hpp"
#include "engine/vcpu.hpp"

namespace berth::engine::soft {

// A processor in its power-on state. `memory` and `machine` outlive it; `machine` is called on the thread
// that runs it. ResourceExhausted where memory for generated code can't be had.
Result<std::unique_ptr<VcpuEngine>> make_soft_vcpu(const guest::GuestMemory& memory, Machine& machine,
                                                   Tiers tiers = Tiers::Translator);

}  // namespace berth::engine::soft

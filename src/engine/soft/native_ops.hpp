// Executing an instruction by its NativeCode.
#pragma once

#include "engine/soft/native_code.hpp"

namespace berth::engine::soft {

Handler native_handler(const NativeCode& code);

// Raises what CR0, CR4 and XCR0 say of the unit now: #UD or #NM; and #MF for a pending x87 exception where
// the instruction waits.
void check_unit(Cpu& cpu, x86::Unit unit, bool waits);
std::uint8_t barred_units(const Cpu& cpu);

// The guest's MXCSR. While the engine runs, the host's has the guest's rounding with every exception masked,
// and gathers the flags.
std::uint32_t get_mxcsr(const Cpu& cpu);
void set_mxcsr(Cpu& cpu, std::uint32_t value);

}  // namespace berth::engine::soft

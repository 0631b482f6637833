// Instructions that compute: the guest's own bytes, or the same instruction with registers and the memory
// operand put elsewhere.
#pragma once

#include "engine/soft/emitter.hpp"

namespace berth::engine::soft {

// The address of the memory operand. `behind`: of the next instruction, from the start of the page.
GuestAddress guest_address(const GuestInstruction& guest, std::int32_t behind);

void copy_instruction(Emitter& emitter, const GuestInstruction& guest);
void copy_lea(Emitter& emitter, const GuestInstruction& guest);

}  // namespace berth::engine::soft

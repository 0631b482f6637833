// Which instructions a case may have: those whose effects are the same wherever ring 3 runs them.
#pragma once

#include <Zydis/Zydis.h>

#include <array>

namespace berth::judge {

struct Instruction {
  ZydisDecodedInstruction decoded;
  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
};

// Near, with its target in the instruction.
bool is_direct_branch(const Instruction& instruction);
bool is_allowed(const Instruction& instruction);
// false: whether it faults, and what it has done by then, is the makers' affair.
bool faults_alike(const Instruction& instruction);

}  // namespace berth::judge

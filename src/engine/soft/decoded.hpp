// One instruction on its way from Zydis to an Op: a group of instructions looks at it and gives the function
// that executes it.
#pragma once

#include <Zydis/Zydis.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/soft/op.hpp"

namespace berth::engine::soft {

struct Decoded {
  ZydisDecodedInstruction instruction;
  std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
  bool is_64bit = false;
  bool is_32bit = false;  // the code segment's default size

  ZydisMnemonic mnemonic() const { return instruction.mnemonic; }
  bool is_memory(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY; }
  bool is_register(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER; }
  bool is_immediate(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE; }
  unsigned visible() const { return instruction.operand_count_visible; }
  unsigned bytes(unsigned i) const { return operands[i].size / 8u; }
  ZydisRegisterClass register_class(unsigned i) const { return ZydisRegisterGetClass(operands[i].reg.value); }
  unsigned register_id(unsigned i) const {
    return static_cast<unsigned>(ZydisRegisterGetId(operands[i].reg.value));
  }
};

inline bool is_general_register(ZydisRegister name) {
  const ZydisRegisterClass kind = ZydisRegisterGetClass(name);
  return kind == ZYDIS_REGCLASS_GPR8 || kind == ZYDIS_REGCLASS_GPR16 || kind == ZYDIS_REGCLASS_GPR32 ||
         kind == ZYDIS_REGCLASS_GPR64;
}

// 1, 2, 4, 8 bytes to 0-3.
constexpr unsigned size_index(unsigned bytes) { return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3; }

// Each gives the handler of the instructions that are its own and null for others. The decoder has filled in
// what Op says of operands: `dst` and `src` from the first and second operand where they are general
// registers (a register that is the first of two, the other being memory, is `dst`; the second one `src`),
// the memory operand, and the immediate.
Handler select_arithmetic(const Decoded& decoded, Op& op);
Handler select_shift(const Decoded& decoded, Op& op);
Handler select_bits(const Decoded& decoded, Op& op);
Handler select_divide(const Decoded& decoded, Op& op);
Handler select_move(const Decoded& decoded, Op& op);
Handler select_flags(const Decoded& decoded, Op& op);
Handler select_stack(const Decoded& decoded, Op& op);
Handler select_branch(const Decoded& decoded, Op& op);
Handler select_far(const Decoded& decoded, Op& op);
Handler select_string(const Decoded& decoded, Op& op);
Handler select_port(const Decoded& decoded, Op& op);
Handler select_legacy(const Decoded& decoded, Op& op);
Handler select_segment(const Decoded& decoded, Op& op);
Handler select_control(const Decoded& decoded, Op& op);
Handler select_msr(const Decoded& decoded, Op& op);
Handler select_fast_call(const Decoded& decoded, Op& op);
Handler select_float_state(const Decoded& decoded, Op& op);
Handler select_x87_environment(const Decoded& decoded, Op& op);
Handler select_masked(const Decoded& decoded, Op& op);

// MOV to or from a control or debug register: for the kernel alone.
bool is_special_move(const Decoded& decoded);

// What executes hints, and all else that has no effect here.
const Op* do_nothing(Cpu& cpu, const Op* op);

// Whether a block can't go on behind the instruction, beside those whose handler gives null.
bool ends_block(const Decoded& decoded);

}  // namespace berth::engine::soft

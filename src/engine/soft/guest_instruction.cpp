#include "engine/soft/guest_instruction.hpp"

#include "engine/soft/native_code.hpp"
#include "x86/bits.hpp"
#include "x86/instruction_table.hpp"

namespace berth::engine::soft {
namespace {

using x86::Execution;
using x86::Unit;

constexpr auto kAllFlags = static_cast<std::uint32_t>(x86::rflags::kArithmetic);

// Of the instructions that the table gives to the engine, those that the processor may execute all the same
// once their memory operand is known to be within reach. For the interpreter they have handlers for speed's
// sake.
bool computes_only(const Decoded& decoded) {
  switch (decoded.instruction.meta.category) {
    case ZYDIS_CATEGORY_CMOV:
    case ZYDIS_CATEGORY_SETCC:
      return true;
    default:
      break;
  }
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_ADC:
    case ZYDIS_MNEMONIC_SBB:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_TEST:
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_DEC:
    case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_NOT:
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
    case ZYDIS_MNEMONIC_MOVNTI:
    case ZYDIS_MNEMONIC_XCHG:
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
    case ZYDIS_MNEMONIC_CBW:
    case ZYDIS_MNEMONIC_CWDE:
    case ZYDIS_MNEMONIC_CDQE:
    case ZYDIS_MNEMONIC_CWD:
    case ZYDIS_MNEMONIC_CDQ:
    case ZYDIS_MNEMONIC_CQO:
    case ZYDIS_MNEMONIC_LAHF:
    case ZYDIS_MNEMONIC_SAHF:
    case ZYDIS_MNEMONIC_CLC:
    case ZYDIS_MNEMONIC_STC:
    case ZYDIS_MNEMONIC_CMC:
    case ZYDIS_MNEMONIC_PAUSE:
    case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_MFENCE:
    case ZYDIS_MNEMONIC_SFENCE:
    case ZYDIS_MNEMONIC_VZEROUPPER:
    case ZYDIS_MNEMONIC_VZEROALL:
      return true;
    case ZYDIS_MNEMONIC_MOV:
      return !is_special_move(decoded);
    case ZYDIS_MNEMONIC_BT:
    case ZYDIS_MNEMONIC_BTS:
    case ZYDIS_MNEMONIC_BTR:
    case ZYDIS_MNEMONIC_BTC:  // a register may reach far beyond the operand
      return !decoded.is_memory(0) || decoded.is_immediate(1);
    default:
      return false;
  }
}

bool is_foreign(ZydisRegisterClass kind) {
  switch (kind) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
    case ZYDIS_REGCLASS_FLAGS:
    case ZYDIS_REGCLASS_IP:
    case ZYDIS_REGCLASS_INVALID:
      return false;
    default:
      return true;
  }
}

// Whether the operands are such as the code can carry: no registers of other kinds, at most one place in
// memory, with an address of 64 bits and a displacement of 32.
bool has_plain_operands(const Decoded& decoded) {
  unsigned places = 0;
  for (unsigned i = 0; i < decoded.instruction.operand_count; ++i) {
    const ZydisDecodedOperand& operand = decoded.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && is_foreign(ZydisRegisterGetClass(operand.reg.value)))
      return false;
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
    ++places;
    if (operand.mem.disp.value != static_cast<std::int32_t>(operand.mem.disp.value)) return false;
  }
  return places <= 1 && decoded.instruction.address_width == 64;
}

Way stack_or_branch(const Decoded& decoded) {
  const ZydisDecodedInstruction& instruction = decoded.instruction;
  const bool is_far = instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
  const bool direct = decoded.is_immediate(0);
  if (is_far || instruction.address_width != 64) return Way::Op;
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_PUSH:
      if (instruction.operand_width != 64 || decoded.is_memory(0)) return Way::Op;
      return direct || decoded.register_class(0) == ZYDIS_REGCLASS_GPR64 ? Way::Push : Way::Op;
    case ZYDIS_MNEMONIC_POP:
      if (instruction.operand_width != 64 || !decoded.is_register(0)) return Way::Op;
      return decoded.register_class(0) == ZYDIS_REGCLASS_GPR64 ? Way::Pop : Way::Op;
    case ZYDIS_MNEMONIC_LEAVE:
      return instruction.operand_width == 64 ? Way::Leave : Way::Op;
    case ZYDIS_MNEMONIC_RET:
      return Way::Return;
    case ZYDIS_MNEMONIC_JMP:
      return direct ? Way::Jump : Way::JumpIndirect;
    case ZYDIS_MNEMONIC_CALL:
      return direct ? Way::Call : Way::CallIndirect;
    case ZYDIS_MNEMONIC_JRCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_LOOP:
    case ZYDIS_MNEMONIC_LOOPE:
    case ZYDIS_MNEMONIC_LOOPNE:
      return Way::Op;
    default:
      return instruction.meta.category == ZYDIS_CATEGORY_COND_BR && direct ? Way::JumpIf : Way::Op;
  }
}

bool is_translated_unit(Unit unit, std::uint32_t rules) {
  if (unit == Unit::Integer) return true;
  constexpr std::uint32_t kUnmasked = 0x100;
  return (unit == Unit::Sse || unit == Unit::Avx) && (rules & (static_cast<unsigned>(unit) | kUnmasked)) == 0;
}

Way way_of(const GuestInstruction& guest, const x86::Treatment& treatment, std::uint32_t rules) {
  const Decoded& decoded = guest.decoded;
  if (treatment.execution == Execution::Refused || !is_translated_unit(treatment.unit, rules)) return Way::Op;
  if (treatment.execution == Execution::Engine) {
    if (guest.op->run == do_nothing) return Way::Skip;
    if (const Way way = stack_or_branch(decoded); way != Way::Op) return way;
    const bool is_wide = decoded.instruction.operand_width >= 32;
    if (decoded.mnemonic() == ZYDIS_MNEMONIC_LEA)
      return is_wide && decoded.instruction.address_width == 64 ? Way::Lea : Way::Op;
    if (decoded.mnemonic() == ZYDIS_MNEMONIC_DIV || decoded.mnemonic() == ZYDIS_MNEMONIC_IDIV)
      return is_wide && has_plain_operands(decoded) ? Way::Divide : Way::Op;
    if (!computes_only(decoded)) return Way::Op;
  }
  const ZydisDecodedOperand* memory = guest.memory();
  const bool aligned = guest.alignment == 1 || (memory != nullptr && guest.alignment == memory->size / 8);
  return has_plain_operands(decoded) && aligned ? Way::Copy : Way::Op;
}

// Into `guest`, which is as it was made.
void read_instruction(const TranslationJob& job, const Op* first, const Op* last, GuestInstruction& guest) {
  guest.op = first;
  guest.bytes = job.bytes.data() + first->offset;
  const ZyanStatus status = ZydisDecoderDecodeFull(job.decoder, guest.bytes, job.bytes.size() - first->offset,
                                                   &guest.decoded.instruction, guest.decoded.operands.data());
  guest.decoded.is_64bit = true;
  if (ZYAN_FAILED(status)) return;  // its Op refuses it
  const x86::Treatment treatment = x86::treatment_of(guest.decoded.instruction);
  guest.flags = flag_use(guest.decoded.instruction);
  if (treatment.execution == Execution::Native) {
    if (last->native == nullptr) return;
    guest.alignment = last->native->alignment;
  }
  guest.way = way_of(guest, treatment, job.rules);
  guest.uses_vectors = treatment.unit == Unit::Sse || treatment.unit == Unit::Avx;
}

// Behind and before what leaves the code, or may, every flag counts.
bool needs_all_flags(Way way) {
  switch (way) {
    case Way::Copy:
    case Way::Skip:
    case Way::Lea:
    case Way::Divide:
    case Way::Push:
    case Way::Pop:
    case Way::Leave:
      return false;
    default:
      return true;
  }
}

void find_live_flags(std::vector<GuestInstruction>& instructions) {
  std::uint32_t live = kAllFlags;
  for (std::size_t i = instructions.size(); i-- > 0;) {
    GuestInstruction& guest = instructions[i];
    guest.live_after = live;
    live = needs_all_flags(guest.way) ? kAllFlags : (live & ~guest.flags.replaces) | guest.flags.reads;
    guest.live_before = live;
  }
}

}  // namespace

const ZydisDecodedOperand* GuestInstruction::memory() const {
  for (unsigned i = 0; i < decoded.instruction.operand_count; ++i) {
    if (decoded.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) return &decoded.operands[i];
  }
  return nullptr;
}

void read_block(const TranslationJob& job, std::vector<GuestInstruction>& instructions) {
  instructions.clear();
  const Op* const end = job.block->ops + job.block->count - 1;  // leads to the code behind
  for (const Op* op = job.block->ops + 1; op != end;) {
    const Op* last = op;
    while (last + 1 != end && last[1].offset == op->offset) ++last;
    read_instruction(job, op, last, instructions.emplace_back());
    op = last + 1;
  }
  find_live_flags(instructions);
  group_accesses(instructions);
}

}  // namespace berth::engine::soft

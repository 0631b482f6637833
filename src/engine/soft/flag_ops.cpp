// Instructions on RFLAGS itself.
#include "engine/soft/condition.hpp"
#include "engine/soft/decoded.hpp"
#include "engine/soft/run.hpp"
#include "engine/soft/stack.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

template <std::uint64_t Clear, std::uint64_t Set, std::uint64_t Flip>
const Op* change_carry(Cpu& cpu, const Op* op) {
  cpu.native.flags = ((cpu.native.flags & ~Clear) | Set) ^ Flip;
  return op + 1;
}
const Op* set_direction(Cpu& cpu, const Op* op) {
  cpu.system_flags |= rflags::kDf;
  return op + 1;
}
const Op* clear_direction(Cpu& cpu, const Op* op) {
  cpu.system_flags &= ~rflags::kDf;
  return op + 1;
}

void check_interrupt_privilege(Cpu& cpu) {
  if (cpu.is_protected() && cpu.cpl > cpu.iopl()) raise(cpu, Vector::Gp);
}
const Op* disable_interrupts(Cpu& cpu, const Op* op) {
  check_interrupt_privilege(cpu);
  cpu.system_flags &= ~rflags::kIf;
  return op + 1;
}
const Op* enable_interrupts(Cpu& cpu, const Op* op) {
  check_interrupt_privilege(cpu);
  if ((cpu.system_flags & rflags::kIf) != 0) return op + 1;
  cpu.system_flags |= rflags::kIf;
  // Within a block nothing is taken before the next instruction anyway.
  const bool is_last = op[1].run == continue_behind || op[1].run == stop_behind;
  if (!is_last && !cpu.machine->interrupt_pending()) return op + 1;
  cpu.shadow = true;
  return end_block(cpu, op);
}

void check_ac_privilege(Cpu& cpu) {
  if (cpu.cpl > 0) raise(cpu, Vector::Ud);
}
const Op* set_ac(Cpu& cpu, const Op* op) {
  check_ac_privilege(cpu);
  cpu.system_flags |= rflags::kAc;
  update_mode(cpu);
  return op + 1;
}
const Op* clear_ac(Cpu& cpu, const Op* op) {
  check_ac_privilege(cpu);
  cpu.system_flags &= ~rflags::kAc;
  update_mode(cpu);
  return op + 1;
}

const Op* load_ah(Cpu& cpu, const Op* op) {
  set(cpu, std::uint8_t{1}, static_cast<std::uint8_t>((get_rflags(cpu) & 0xd5) | 2));
  return op + 1;
}
const Op* store_ah(Cpu& cpu, const Op* op) {
  cpu.native.flags = (std::uint64_t{get<std::uint8_t>(cpu, 1)} & 0xd5) << 8 | (cpu.native.flags & kFlagOf);
  return op + 1;
}

const Op* push_flags(Cpu& cpu, const Op* op) {
  if (cpu.is_v86() && cpu.iopl() < 3) raise(cpu, Vector::Gp);
  StackCursor stack(cpu);
  stack.push(op->operand_bytes, get_rflags(cpu) & ~(rflags::kRf | rflags::kVm));
  stack.commit();
  return op + 1;
}

const Op* pop_flags(Cpu& cpu, const Op* op) {
  if (cpu.is_v86() && cpu.iopl() < 3) raise(cpu, Vector::Gp);
  StackCursor stack(cpu);
  const std::uint64_t value = stack.pop(op->operand_bytes);
  std::uint64_t mask = rflags::kArithmetic | rflags::kTf | rflags::kDf | rflags::kNt;
  if (op->operand_bytes != 2) mask |= rflags::kAc | rflags::kId;
  if (!cpu.is_protected() || cpu.cpl <= cpu.iopl()) mask |= rflags::kIf;
  if (cpu.cpl == 0) mask |= rflags::kIopl;
  stack.commit();
  const std::uint64_t before = cpu.system_flags;
  set_rflags(cpu, (get_rflags(cpu) & ~mask & ~rflags::kRf) | (value & mask));
  const std::uint64_t watched = rflags::kTf | rflags::kIf;
  return ((before ^ cpu.system_flags) & watched) == 0 ? op + 1 : end_block(cpu, op);
}

Handler with_size(Op& op, unsigned bytes, Handler handler) {
  op.operand_bytes = static_cast<std::uint8_t>(bytes);
  return handler;
}

}  // namespace

Handler select_flags(const Decoded& decoded, Op& op) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_CLC:
      return change_carry<kFlagCf, 0, 0>;
    case ZYDIS_MNEMONIC_STC:
      return change_carry<0, kFlagCf, 0>;
    case ZYDIS_MNEMONIC_CMC:
      return change_carry<0, 0, kFlagCf>;
    case ZYDIS_MNEMONIC_CLD:
      return clear_direction;
    case ZYDIS_MNEMONIC_STD:
      return set_direction;
    case ZYDIS_MNEMONIC_CLI:
      return disable_interrupts;
    case ZYDIS_MNEMONIC_STI:
      return enable_interrupts;
    case ZYDIS_MNEMONIC_CLAC:
      return clear_ac;
    case ZYDIS_MNEMONIC_STAC:
      return set_ac;
    case ZYDIS_MNEMONIC_LAHF:
      return load_ah;
    case ZYDIS_MNEMONIC_SAHF:
      return store_ah;
    case ZYDIS_MNEMONIC_PUSHF:
      return with_size(op, 2, push_flags);
    case ZYDIS_MNEMONIC_PUSHFD:
      return with_size(op, 4, push_flags);
    case ZYDIS_MNEMONIC_PUSHFQ:
      return with_size(op, 8, push_flags);
    case ZYDIS_MNEMONIC_POPF:
      return with_size(op, 2, pop_flags);
    case ZYDIS_MNEMONIC_POPFD:
      return with_size(op, 4, pop_flags);
    case ZYDIS_MNEMONIC_POPFQ:
      return with_size(op, 8, pop_flags);
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

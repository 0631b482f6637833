// Far jumps, calls and returns, and IRET (SDM vol. 2 of each; vol. 3, 5.8).
#include "engine/soft/decoded.hpp"
#include "engine/soft/deliver.hpp"
#include "engine/soft/run.hpp"
#include "engine/soft/segment.hpp"
#include "engine/soft/stack.hpp"
#include "engine/soft/task.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

constexpr std::uint32_t error_of(std::uint16_t selector) { return selector & 0xfffcu; }

struct FarPointer {
  std::uint16_t selector = 0;
  std::uint64_t offset = 0;
};

FarPointer far_operand(Cpu& cpu, const Op* op) {
  if (!op->has(Op::kMemory))
    return {static_cast<std::uint16_t>(op->immediate >> 32), op->immediate & 0xffffffff};
  const std::uint64_t linear = operand_address(cpu, op, op->operand_bytes + 2u, false);
  const std::uint64_t offset = load_bytes(cpu, linear, op->operand_bytes);
  return {load<std::uint16_t>(cpu, linear + op->operand_bytes), offset};
}

void check_offset(Cpu& cpu, const Descriptor& code, std::uint64_t offset) {
  const bool to_long = cpu.is_long() && code.is_long();
  if (to_long ? !is_canonical(offset) : offset > code.limit()) raise(cpu, Vector::Gp);
}

// A code segment that a jump or call goes to directly.
void check_direct_code(Cpu& cpu, std::uint16_t selector, const Descriptor& code) {
  const std::uint32_t error = error_of(selector);
  if (!code.is_code() || (cpu.is_long() && code.is_long() && code.is_big())) raise(cpu, Vector::Gp, error);
  const unsigned rpl = selector & 3u;
  if (code.is_conforming() ? code.dpl() > cpu.cpl : (rpl > cpu.cpl || code.dpl() != cpu.cpl))
    raise(cpu, Vector::Gp, error);
  if (!code.is_present()) raise(cpu, Vector::Np, error);
}

// Checks of a gate or TSS named by a far jump or call.
void check_system(Cpu& cpu, std::uint16_t selector, const Descriptor& descriptor) {
  if (descriptor.dpl() < cpu.cpl || descriptor.dpl() < (selector & 3u))
    raise(cpu, Vector::Gp, error_of(selector));
  if (!descriptor.is_present()) raise(cpu, Vector::Np, error_of(selector));
}

struct CallGate {
  std::uint16_t selector = 0;
  std::uint64_t offset = 0;
  unsigned bytes = 4;
  unsigned count = 0;
};

CallGate open_call_gate(Cpu& cpu, std::uint16_t selector, const Descriptor& descriptor) {
  check_system(cpu, selector, descriptor);
  CallGate gate{.selector = descriptor.gate_selector(),
                .offset = descriptor.gate_offset(),
                .count = descriptor.gate_count()};
  if (descriptor.type() == system_type::kCallGate16) {
    gate.bytes = 2;
    gate.offset &= 0xffff;
  }
  if (cpu.is_long()) {
    const std::uint64_t linear = descriptor_address(cpu, selector, Vector::Gp);
    const auto high = load_system<std::uint64_t>(cpu, linear + 8);
    if ((high >> 40 & 0x1f) != 0) raise(cpu, Vector::Gp, error_of(selector));
    gate.offset |= high << 32;
    gate.bytes = 8;
  }
  if (is_null(gate.selector)) raise(cpu, Vector::Gp);
  return gate;
}

Descriptor check_gate_code(Cpu& cpu, const CallGate& gate, bool is_jump) {
  const Descriptor code = read_descriptor(cpu, gate.selector, Vector::Gp);
  const std::uint32_t error = error_of(gate.selector);
  if (!code.is_code() || code.dpl() > cpu.cpl) raise(cpu, Vector::Gp, error);
  if (cpu.is_long() && (!code.is_long() || code.is_big())) raise(cpu, Vector::Gp, error);
  if (is_jump && !code.is_conforming() && code.dpl() != cpu.cpl) raise(cpu, Vector::Gp, error);
  if (!code.is_present()) raise(cpu, Vector::Np, error);
  check_offset(cpu, code, gate.offset);
  return code;
}

bool is_call_gate(const Cpu& cpu, const Descriptor& descriptor) {
  const unsigned type = descriptor.type();
  return type == system_type::kCallGate32 || (type == system_type::kCallGate16 && !cpu.is_long());
}

// Task gates and TSSs, or an error where the descriptor is neither.
void transfer_by_task(Cpu& cpu, const Op* op, std::uint16_t selector, Descriptor descriptor,
                      TaskSwitch kind) {
  const bool is_gate = descriptor.type() == system_type::kTaskGate;
  const bool is_tss = descriptor.type() == system_type::kTss16 || descriptor.type() == system_type::kTss32;
  if (cpu.is_long() || (!is_gate && !is_tss)) raise(cpu, Vector::Gp, error_of(selector));
  check_system(cpu, selector, descriptor);
  if (is_gate) {
    selector = descriptor.gate_selector();
    if ((selector & 4) != 0) raise(cpu, Vector::Gp, error_of(selector));
    descriptor = read_descriptor(cpu, selector, Vector::Gp);
    const bool available =
        descriptor.type() == system_type::kTss16 || descriptor.type() == system_type::kTss32;
    if (descriptor.is_code_or_data() || !available) raise(cpu, Vector::Gp, error_of(selector));
    if (!descriptor.is_present()) raise(cpu, Vector::Np, error_of(selector));
  }
  switch_task(cpu, selector, descriptor, kind, cpu.next_rip());
  static_cast<void>(op);
}

void jump_real(Cpu& cpu, const FarPointer& target) {
  if (target.offset > cpu.segment(SegmentName::Cs).limit) raise(cpu, Vector::Gp);
  load_real_segment(cpu, SegmentName::Cs, target.selector);
  cpu.rip_base() = target.offset;
}

const Op* jump_far(Cpu& cpu, const Op* op) {
  const FarPointer target = far_operand(cpu, op);
  if (cpu.is_real_or_v86()) {
    jump_real(cpu, target);
    return nullptr;
  }
  if (is_null(target.selector)) raise(cpu, Vector::Gp);
  const Descriptor descriptor = read_descriptor(cpu, target.selector, Vector::Gp);
  if (descriptor.is_code_or_data()) {
    check_direct_code(cpu, target.selector, descriptor);
    check_offset(cpu, descriptor, target.offset);
    set_code_segment(cpu, target.selector, descriptor, cpu.cpl);
    cpu.rip_base() = target.offset;
  } else if (is_call_gate(cpu, descriptor)) {
    const CallGate gate = open_call_gate(cpu, target.selector, descriptor);
    set_code_segment(cpu, gate.selector, check_gate_code(cpu, gate, true), cpu.cpl);
    cpu.rip_base() = gate.offset;
  } else {
    transfer_by_task(cpu, op, target.selector, descriptor, TaskSwitch::Jump);
  }
  return nullptr;
}

void push_return(Cpu& cpu, unsigned bytes) {
  StackCursor stack(cpu);
  stack.push(bytes, cpu.segment(SegmentName::Cs).selector);
  stack.push(bytes, cpu.next_rip());
  stack.commit();
}

void call_inner(Cpu& cpu, const CallGate& gate, const Descriptor& code) {
  const unsigned level = code.dpl();
  std::array<std::uint64_t, 31> parameters{};
  StackCursor outer(cpu);
  const unsigned count = cpu.is_long() ? 0 : gate.count;
  for (unsigned i = 0; i < count; ++i) parameters[i] = outer.pop(gate.bytes);
  const std::uint64_t old_rsp = cpu.reg(Gpr::Rsp);
  const std::uint16_t old_ss = cpu.segment(SegmentName::Ss).selector;
  const std::uint16_t old_cs = cpu.segment(SegmentName::Cs).selector;
  const std::uint64_t return_rip = cpu.next_rip();
  std::uint64_t mask = ~std::uint64_t{0}, base = 0, pointer = 0;
  InnerStack inner;
  Descriptor segment;
  if (cpu.is_long()) {
    if (4 + 8 * level + 7 > cpu.arch.tr.limit) raise(cpu, Vector::Ts, error_of(cpu.arch.tr.selector));
    pointer = load_system<std::uint64_t>(cpu, cpu.arch.tr.base + 4 + 8 * level);
    if (!is_canonical(pointer)) raise(cpu, Vector::Ss);
  } else {
    inner = inner_stack(cpu, level, 0);
    segment = check_inner_stack(cpu, inner.selector, level, 0);
    mask = segment.is_big() ? 0xffffffff : 0xffff;
    base = segment.base();
    pointer = inner.pointer;
  }
  const auto push = [&](std::uint64_t value) {
    pointer = (pointer - gate.bytes) & mask;
    store_slow(cpu, base + pointer, &value, gate.bytes, Intent::System);
  };
  push(old_ss);
  push(old_rsp);
  for (unsigned i = count; i-- > 0;) push(parameters[i]);
  push(old_cs);
  push(return_rip);
  if (cpu.is_long()) {
    set_null_stack_segment(cpu, static_cast<std::uint16_t>(level), level);
  } else {
    set_stack_segment(cpu, inner.selector, segment, level);
  }
  set_code_segment(cpu, gate.selector, code, level);
  set_stack_pointer(cpu, pointer, mask);
}

const Op* call_far(Cpu& cpu, const Op* op) {
  const FarPointer target = far_operand(cpu, op);
  if (cpu.is_real_or_v86()) {
    if (target.offset > cpu.segment(SegmentName::Cs).limit) raise(cpu, Vector::Gp);
    push_return(cpu, op->operand_bytes);
    jump_real(cpu, target);
    return nullptr;
  }
  if (is_null(target.selector)) raise(cpu, Vector::Gp);
  const Descriptor descriptor = read_descriptor(cpu, target.selector, Vector::Gp);
  if (descriptor.is_code_or_data()) {
    check_direct_code(cpu, target.selector, descriptor);
    check_offset(cpu, descriptor, target.offset);
    push_return(cpu, op->operand_bytes);
    set_code_segment(cpu, target.selector, descriptor, cpu.cpl);
    cpu.rip_base() = target.offset;
  } else if (is_call_gate(cpu, descriptor)) {
    const CallGate gate = open_call_gate(cpu, target.selector, descriptor);
    const Descriptor code = check_gate_code(cpu, gate, false);
    if (!code.is_conforming() && code.dpl() < cpu.cpl) {
      call_inner(cpu, gate, code);
    } else {
      push_return(cpu, gate.bytes);
      set_code_segment(cpu, gate.selector, code, cpu.cpl);
    }
    cpu.rip_base() = gate.offset;
  } else {
    transfer_by_task(cpu, op, target.selector, descriptor, TaskSwitch::Call);
  }
  return nullptr;
}

// The code segment that RETF or IRET goes back to.
Descriptor check_return_code(Cpu& cpu, std::uint16_t selector, std::uint64_t offset) {
  if (is_null(selector)) raise(cpu, Vector::Gp);
  const Descriptor code = read_descriptor(cpu, selector, Vector::Gp);
  const std::uint32_t error = error_of(selector);
  const unsigned rpl = selector & 3u;
  if (!code.is_code() || rpl < cpu.cpl) raise(cpu, Vector::Gp, error);
  if (code.is_conforming() ? code.dpl() > rpl : code.dpl() != rpl) raise(cpu, Vector::Gp, error);
  if (cpu.is_long() && code.is_long() && code.is_big()) raise(cpu, Vector::Gp, error);
  if (!code.is_present()) raise(cpu, Vector::Np, error);
  check_offset(cpu, code, offset);
  return code;
}

struct OuterStack {
  std::uint16_t selector = 0;
  std::uint64_t pointer = 0;
  Descriptor descriptor;
  bool null = false;
};

OuterStack check_outer_stack(Cpu& cpu, std::uint16_t selector, std::uint64_t pointer, unsigned level,
                             bool to_64bit) {
  OuterStack stack{.selector = selector, .pointer = pointer};
  if (is_null(selector)) {
    if (!to_64bit || level == 3) raise(cpu, Vector::Gp);
    stack.null = true;
    return stack;
  }
  stack.descriptor = read_descriptor(cpu, selector, Vector::Gp);
  const bool fits =
      (selector & 3u) == level && stack.descriptor.dpl() == level && stack.descriptor.is_writable_data();
  if (!fits) raise(cpu, Vector::Gp, error_of(selector));
  if (!stack.descriptor.is_present()) raise(cpu, Vector::Ss, error_of(selector));
  return stack;
}

void enter_outer(Cpu& cpu, std::uint16_t cs, const Descriptor& code, const OuterStack& stack,
                 unsigned level) {
  Descriptor accessed = code;
  mark_accessed(cpu, cs, accessed);
  if (stack.null) {
    set_null_stack_segment(cpu, stack.selector, level);
  } else {
    set_stack_segment(cpu, stack.selector, stack.descriptor, level);
  }
  set_code_segment(cpu, cs, accessed, level);
  set_stack_pointer(cpu, stack.pointer, stack_mask(cpu));
}

const Op* return_far(Cpu& cpu, const Op* op) {
  StackCursor stack(cpu);
  const std::uint64_t offset = stack.pop(op->operand_bytes);
  const auto selector = static_cast<std::uint16_t>(stack.pop(op->operand_bytes));
  if (cpu.is_real_or_v86()) {
    if (offset > cpu.segment(SegmentName::Cs).limit) raise(cpu, Vector::Gp);
    stack.skip(op->immediate);
    stack.commit();
    load_real_segment(cpu, SegmentName::Cs, selector);
    cpu.rip_base() = offset;
    return nullptr;
  }
  const Descriptor code = check_return_code(cpu, selector, offset);
  const unsigned level = selector & 3u;
  stack.skip(op->immediate);
  if (level > cpu.cpl) {
    const std::uint64_t pointer = stack.pop(op->operand_bytes);
    const auto ss = static_cast<std::uint16_t>(stack.pop(op->operand_bytes));
    OuterStack outer = check_outer_stack(cpu, ss, pointer, level, cpu.is_long() && code.is_long());
    outer.pointer += op->immediate;
    enter_outer(cpu, selector, code, outer, level);
    drop_inner_segments(cpu);
  } else {
    stack.commit();
    set_code_segment(cpu, selector, code, cpu.cpl);
  }
  cpu.rip_base() = offset;
  return nullptr;
}

// The bits of RFLAGS that IRET may change at this privilege.
std::uint64_t changeable_flags(const Cpu& cpu, unsigned bytes) {
  std::uint64_t mask = rflags::kArithmetic | rflags::kTf | rflags::kDf | rflags::kNt;
  if (bytes != 2) mask |= rflags::kRf | rflags::kAc | rflags::kId;
  if (cpu.cpl <= cpu.iopl()) mask |= rflags::kIf;
  if (cpu.cpl == 0) mask |= rflags::kIopl | (bytes != 2 ? rflags::kVif | rflags::kVip : 0);
  return mask;
}

void replace_flags(Cpu& cpu, std::uint64_t value, std::uint64_t mask) {
  set_rflags(cpu, (get_rflags(cpu) & ~mask) | (value & mask));
}

const Op* return_to_v86(Cpu& cpu, StackCursor& stack, std::uint64_t offset, std::uint16_t cs,
                        std::uint64_t flags) {
  const std::uint64_t rsp = stack.pop(4);
  std::array<std::uint16_t, 5> selectors{};  // SS ES DS FS GS
  for (std::uint16_t& selector : selectors) selector = static_cast<std::uint16_t>(stack.pop(4));
  set_rflags(cpu, flags & 0x3f7fd5);
  load_real_segment(cpu, SegmentName::Cs, cs);
  cpu.segment(SegmentName::Cs).attributes = 0xf3;
  load_real_segment(cpu, SegmentName::Ss, selectors[0]);
  load_real_segment(cpu, SegmentName::Es, selectors[1]);
  load_real_segment(cpu, SegmentName::Ds, selectors[2]);
  load_real_segment(cpu, SegmentName::Fs, selectors[3]);
  load_real_segment(cpu, SegmentName::Gs, selectors[4]);
  cpu.cpl = 3;
  update_mode(cpu);
  cpu.reg(Gpr::Rsp) = rsp;
  cpu.rip_base() = offset & 0xffff;
  return nullptr;
}

const Op* return_from_task(Cpu& cpu) {
  if (cpu.is_long()) raise(cpu, Vector::Gp);
  const auto link = load_system<std::uint16_t>(cpu, cpu.arch.tr.base);
  if ((link & 4) != 0) raise(cpu, Vector::Ts, error_of(link));
  const Descriptor descriptor = read_descriptor(cpu, link, Vector::Ts);
  const bool busy =
      descriptor.type() == system_type::kTss16Busy || descriptor.type() == system_type::kTss32Busy;
  if (descriptor.is_code_or_data() || !busy) raise(cpu, Vector::Ts, error_of(link));
  if (!descriptor.is_present()) raise(cpu, Vector::Np, error_of(link));
  switch_task(cpu, link, descriptor, TaskSwitch::Return, cpu.next_rip());
  return nullptr;
}

const Op* return_real(Cpu& cpu, const Op* op) {
  if (cpu.is_v86() && cpu.iopl() < 3) raise(cpu, Vector::Gp);
  StackCursor stack(cpu);
  const std::uint64_t offset = stack.pop(op->operand_bytes);
  const auto cs = static_cast<std::uint16_t>(stack.pop(op->operand_bytes));
  const std::uint64_t flags = stack.pop(op->operand_bytes);
  if (offset > cpu.segment(SegmentName::Cs).limit) raise(cpu, Vector::Gp);
  stack.commit();
  load_real_segment(cpu, SegmentName::Cs, cs);
  cpu.rip_base() = offset;
  std::uint64_t mask = changeable_flags(cpu, op->operand_bytes);
  if (cpu.is_v86()) mask &= ~rflags::kIopl;
  replace_flags(cpu, flags, mask);
  return nullptr;
}

const Op* return_from_interrupt(Cpu& cpu, const Op* op) {
  if (cpu.arch.nmi_blocked) cpu.attention.fetch_or(kAttentionInterrupt);  // one may be waiting
  cpu.arch.nmi_blocked = false;
  if (cpu.is_real_or_v86()) return return_real(cpu, op);
  if ((cpu.system_flags & rflags::kNt) != 0) return return_from_task(cpu);
  const unsigned bytes = op->operand_bytes;
  StackCursor stack(cpu);
  const std::uint64_t offset = stack.pop(bytes);
  const auto cs = static_cast<std::uint16_t>(stack.pop(bytes));
  const std::uint64_t flags = stack.pop(bytes);
  if (bytes == 4 && cpu.cpl == 0 && (flags & rflags::kVm) != 0 && !cpu.is_long())
    return return_to_v86(cpu, stack, offset, cs, flags);
  const Descriptor code = check_return_code(cpu, cs, offset);
  const unsigned level = cs & 3u;
  const std::uint64_t mask = changeable_flags(cpu, bytes);
  // 64-bit mode's IRET always pops SS:RSP.
  if (level > cpu.cpl || cpu.is_64bit()) {
    const std::uint64_t pointer = stack.pop(bytes);
    const auto ss = static_cast<std::uint16_t>(stack.pop(bytes));
    const bool outwards = level > cpu.cpl;
    const OuterStack outer = check_outer_stack(cpu, ss, pointer, level, cpu.is_long() && code.is_long());
    enter_outer(cpu, cs, code, outer, level);
    replace_flags(cpu, flags, mask);
    if (outwards) drop_inner_segments(cpu);
  } else {
    stack.commit();
    set_code_segment(cpu, cs, code, cpu.cpl);
    replace_flags(cpu, flags, mask);
  }
  cpu.rip_base() = offset;
  return nullptr;
}

}  // namespace

Handler select_far(const Decoded& decoded, Op& op) {
  const auto& instruction = decoded.instruction;
  op.operand_bytes = static_cast<std::uint8_t>(instruction.operand_width / 8);
  if (decoded.visible() > 0 && decoded.operands[0].type == ZYDIS_OPERAND_TYPE_POINTER) {
    op.immediate = std::uint64_t{decoded.operands[0].ptr.segment} << 32 | decoded.operands[0].ptr.offset;
  }
  const bool is_far = instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_JMP:
      return is_far ? jump_far : nullptr;
    case ZYDIS_MNEMONIC_CALL:
      return is_far ? call_far : nullptr;
    case ZYDIS_MNEMONIC_RET:
      op.immediate = decoded.visible() > 0 ? decoded.operands[0].imm.value.u & 0xffff : 0;
      return return_far;
    case ZYDIS_MNEMONIC_IRET:
      op.operand_bytes = 2;
      return return_from_interrupt;
    case ZYDIS_MNEMONIC_IRETD:
      op.operand_bytes = 4;
      return return_from_interrupt;
    case ZYDIS_MNEMONIC_IRETQ:
      op.operand_bytes = 8;
      return return_from_interrupt;
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

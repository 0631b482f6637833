#include "engine/soft/stack.hpp"

#include "engine/soft/decoded.hpp"
#include "engine/soft/segment.hpp"

namespace berth::engine::soft {
namespace {

using x86::Gpr;

inline void push_flat(Cpu& cpu, std::uint64_t value) {
  const std::uint64_t rsp = cpu.reg(Gpr::Rsp) - 8;
  store<std::uint64_t>(cpu, rsp, value);
  cpu.reg(Gpr::Rsp) = rsp;
}

const Op* push_register_flat(Cpu& cpu, const Op* op) {
  push_flat(cpu, get<std::uint64_t>(cpu, op->dst));
  return op + 1;
}
const Op* push_immediate_flat(Cpu& cpu, const Op* op) {
  push_flat(cpu, op->immediate);
  return op + 1;
}
const Op* pop_register_flat(Cpu& cpu, const Op* op) {
  const std::uint64_t rsp = cpu.reg(Gpr::Rsp);
  const auto value = load<std::uint64_t>(cpu, rsp);
  cpu.reg(Gpr::Rsp) = rsp + 8;
  set(cpu, op->dst, value);
  return op + 1;
}

std::uint64_t push_operand(Cpu& cpu, const Op* op) {
  if (op->has(Op::kImmediate)) return op->immediate;
  if (!op->has(Op::kMemory)) return get_bytes(cpu, op->dst, op->operand_bytes);
  return load_bytes(cpu, operand_address(cpu, op, op->operand_bytes, false), op->operand_bytes);
}

const Op* push_any(Cpu& cpu, const Op* op) {
  const std::uint64_t value = push_operand(cpu, op);
  StackCursor stack(cpu);
  stack.push(op->operand_bytes, value);
  stack.commit();
  return op + 1;
}
const Op* push_segment(Cpu& cpu, const Op* op) {
  StackCursor stack(cpu);
  // With 32-bit operands only 16 bits are written (SDM vol. 2, PUSH).
  const std::uint16_t selector = cpu.arch.segments[op->src].selector;
  stack.skip(0 - std::uint64_t{op->operand_bytes});
  const unsigned bytes = op->operand_bytes == 4 ? 2 : op->operand_bytes;
  stack.skip(bytes);
  stack.push(bytes, selector);
  stack.commit();
  return op + 1;
}

// The address of POP's operand is computed with the new RSP (SDM vol. 2, POP).
const Op* pop_any(Cpu& cpu, const Op* op) {
  StackCursor stack(cpu);
  const std::uint64_t value = stack.pop(op->operand_bytes);
  if (!op->has(Op::kMemory)) {
    stack.commit();
    set_bytes(cpu, op->dst, op->operand_bytes, value);
    return op + 1;
  }
  const std::uint64_t before = cpu.reg(Gpr::Rsp);
  stack.commit();
  const std::uint64_t after = cpu.reg(Gpr::Rsp);
  const std::uint64_t offset = operand_offset(cpu, op);
  cpu.reg(Gpr::Rsp) = before;  // until nothing can fault any more
  const std::uint64_t mask = op->address_bytes == 2   ? 0xffff
                             : op->address_bytes == 4 ? 0xffffffff
                                                      : ~std::uint64_t{0};
  store_bytes(cpu, segment_address(cpu, op->segment, offset & mask, op->operand_bytes, true),
              op->operand_bytes, value);
  cpu.reg(Gpr::Rsp) = after;
  return op + 1;
}

const Op* pop_segment(Cpu& cpu, const Op* op) {
  StackCursor stack(cpu);
  const auto selector = static_cast<std::uint16_t>(stack.pop(op->operand_bytes == 4 ? 2 : op->operand_bytes));
  if (op->operand_bytes == 4) stack.skip(2);
  const auto name = static_cast<x86::SegmentName>(op->src);
  if (name == x86::SegmentName::Ss) {  // the mask is the old stack's
    const std::uint64_t mask = stack_mask(cpu);
    load_segment(cpu, name, selector);
    set_stack_pointer(cpu, stack.offset(), mask);
    cpu.shadow = cpu.debug_shadow = true;
  } else {
    load_segment(cpu, name, selector);
    stack.commit();
  }
  return end_block(cpu, op);
}

const Op* push_all(Cpu& cpu, const Op* op) {
  StackCursor stack(cpu);
  for (unsigned i = 0; i < 8; ++i) stack.push(op->operand_bytes, cpu.native.gpr[i]);
  stack.commit();
  return op + 1;
}
const Op* pop_all(Cpu& cpu, const Op* op) {
  std::array<std::uint64_t, 8> values{};
  StackCursor stack(cpu);
  for (unsigned i = 8; i-- > 0;) values[i] = stack.pop(op->operand_bytes);
  stack.commit();
  for (unsigned i = 0; i < 8; ++i) {
    if (i != static_cast<unsigned>(Gpr::Rsp))
      set_bytes(cpu, static_cast<std::uint8_t>(i * 8), op->operand_bytes, values[i]);
  }
  return op + 1;
}

const Op* enter(Cpu& cpu, const Op* op) {
  const unsigned bytes = op->operand_bytes;
  const auto size = static_cast<std::uint16_t>(op->immediate);
  const unsigned level = static_cast<unsigned>(op->immediate >> 16) & 31;
  const std::uint64_t mask = stack_mask(cpu);
  StackCursor stack(cpu);
  stack.push(bytes, cpu.reg(Gpr::Rbp));
  const std::uint64_t frame = stack.offset();
  std::uint64_t display = cpu.reg(Gpr::Rbp);
  const unsigned segment = cpu.is_64bit() ? kFlatStackSegment : static_cast<unsigned>(x86::SegmentName::Ss);
  for (unsigned i = 1; i < level; ++i) {
    display = (display - bytes) & mask;
    stack.push(bytes, load_bytes(cpu, segment_address(cpu, segment, display, bytes, false), bytes));
  }
  if (level > 0) stack.push(bytes, frame);
  stack.skip(0 - std::uint64_t{size});
  // The new stack must be usable: a write there is checked and not made.
  check_store(cpu, segment_address(cpu, segment, stack.offset(), 1, true), 1);
  set_bytes(cpu, offset_of(Gpr::Rbp), bytes, frame);
  stack.commit();
  return op + 1;
}

const Op* leave_frame(Cpu& cpu, const Op* op) {
  const std::uint64_t mask = stack_mask(cpu);
  const std::uint64_t frame = cpu.reg(Gpr::Rbp) & mask;
  const unsigned segment = cpu.is_64bit() ? kFlatStackSegment : static_cast<unsigned>(x86::SegmentName::Ss);
  const std::uint64_t value =
      load_bytes(cpu, segment_address(cpu, segment, frame, op->operand_bytes, false), op->operand_bytes);
  set_stack_pointer(cpu, frame + op->operand_bytes, mask);
  set_bytes(cpu, offset_of(Gpr::Rbp), op->operand_bytes, value);
  return op + 1;
}

Handler select_push(const Decoded& decoded, Op& op) {
  if (decoded.is_register(0) && decoded.register_class(0) == ZYDIS_REGCLASS_SEGMENT) {
    op.src = static_cast<std::uint8_t>(decoded.register_id(0));
    return push_segment;
  }
  if (!decoded.is_64bit || op.operand_bytes != 8 || decoded.is_memory(0)) return push_any;
  return decoded.is_immediate(0) ? push_immediate_flat : push_register_flat;
}

Handler select_pop(const Decoded& decoded, Op& op) {
  if (decoded.is_register(0) && decoded.register_class(0) == ZYDIS_REGCLASS_SEGMENT) {
    op.src = static_cast<std::uint8_t>(decoded.register_id(0));
    return pop_segment;
  }
  if (!decoded.is_64bit || op.operand_bytes != 8 || decoded.is_memory(0)) return pop_any;
  return pop_register_flat;
}

}  // namespace

Handler select_stack(const Decoded& decoded, Op& op) {
  const auto slot = static_cast<std::uint8_t>(decoded.instruction.operand_width / 8);
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_PUSH:
    case ZYDIS_MNEMONIC_POP:
      break;
    case ZYDIS_MNEMONIC_PUSHA:
    case ZYDIS_MNEMONIC_PUSHAD:
      op.operand_bytes = slot;
      return push_all;
    case ZYDIS_MNEMONIC_POPA:
    case ZYDIS_MNEMONIC_POPAD:
      op.operand_bytes = slot;
      return pop_all;
    case ZYDIS_MNEMONIC_ENTER:
      op.operand_bytes = slot;
      op.immediate = (decoded.operands[0].imm.value.u & 0xffff) | (decoded.operands[1].imm.value.u & 0xff)
                                                                      << 16;
      return enter;
    case ZYDIS_MNEMONIC_LEAVE:
      op.operand_bytes = slot;
      return leave_frame;
    default:
      return nullptr;
  }
  op.operand_bytes = slot;
  if (!op.has(Op::kMemory))
    op.segment = decoded.is_64bit ? kFlatStackSegment : static_cast<std::uint8_t>(x86::SegmentName::Ss);
  return decoded.mnemonic() == ZYDIS_MNEMONIC_PUSH ? select_push(decoded, op) : select_pop(decoded, op);
}

}  // namespace berth::engine::soft

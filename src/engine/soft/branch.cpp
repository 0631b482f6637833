// Near jumps, calls and returns. A jump within its page remembers the block it leads to.
#include <array>
#include <utility>

#include "engine/soft/access.hpp"
#include "engine/soft/condition.hpp"
#include "engine/soft/decoded.hpp"
#include "engine/soft/run.hpp"
#include "engine/soft/stack.hpp"

namespace berth::engine::soft {
namespace {

using x86::Gpr;

std::uint64_t direct_target(Cpu& cpu, const Op* op) {
  const std::uint64_t target = cpu.rip_base() + static_cast<std::uint64_t>(std::int64_t{op->displacement});
  return (op->operand_bytes == 2 ? target & 0xffff : target) & cpu.ip_mask;
}

const Op* jump_and_link(Cpu& cpu, const Op* op, std::uint64_t target) {
  check_branch_target(cpu, target);
  const bool same_page = ((target ^ cpu.rip_base()) & kPageMask) == 0;
  const bool paged_like_linear = (cpu.segment_base[static_cast<unsigned>(x86::SegmentName::Cs)] & 4095) == 0;
  cpu.rip_base() = target;
  if (cpu.attention.load(std::memory_order_relaxed) != 0) return nullptr;
  const std::uint64_t generation = cpu.blocks->generation();
  cpu.current = &kIdleOp;
  const Block* block = find_block(cpu, 0);
  const bool lasting = same_page && paged_like_linear && block->second_page == Block::kNoPage &&
                       (block->kind & block_kind::kLimited) == 0 && cpu.blocks->generation() == generation;
  if (lasting) op->link = block->ops;
  return block->ops;
}

inline const Op* take_jump(Cpu& cpu, const Op* op) {
  const std::uint64_t target = direct_target(cpu, op);
  if (op->link != nullptr && cpu.attention.load(std::memory_order_relaxed) == 0) [[likely]] {
    cpu.rip_base() = target;
    return op->link;
  }
  return jump_and_link(cpu, op, target);
}

const Op* jump(Cpu& cpu, const Op* op) { return take_jump(cpu, op); }

template <unsigned Condition>
const Op* jump_if(Cpu& cpu, const Op* op) {
  if (!holds<Condition>(cpu.native.flags)) return op + 1;
  return take_jump(cpu, op);
}
template <std::size_t... Conditions>
constexpr std::array<Handler, 16> conditional_jumps(std::index_sequence<Conditions...>) {
  return {jump_if<Conditions>...};
}

std::uint64_t count_mask(const Op* op) {
  return op->address_bytes == 2 ? 0xffff : op->address_bytes == 4 ? 0xffffffff : ~std::uint64_t{0};
}

const Op* jump_if_count_zero(Cpu& cpu, const Op* op) {
  return (cpu.reg(Gpr::Rcx) & count_mask(op)) == 0 ? take_jump(cpu, op) : op + 1;
}

// `dst`: 0 LOOPNE, 1 LOOPE, 2 LOOP.
const Op* loop(Cpu& cpu, const Op* op) {
  const std::uint64_t count = (cpu.reg(Gpr::Rcx) - 1) & count_mask(op);
  const bool zero = (cpu.native.flags & kFlagZf) != 0;
  const bool taken = count != 0 && (op->dst == 2 || zero == (op->dst == 1));
  if (taken) check_branch_target(cpu, direct_target(cpu, op));
  set_bytes(cpu, offset_of(Gpr::Rcx), op->address_bytes, count);
  return taken ? take_jump(cpu, op) : op + 1;
}

const Op* call(Cpu& cpu, const Op* op) {
  const std::uint64_t target = direct_target(cpu, op);
  check_branch_target(cpu, target);
  if (cpu.is_64bit()) {
    const std::uint64_t rsp = cpu.reg(Gpr::Rsp) - 8;
    store<std::uint64_t>(cpu, rsp, cpu.next_rip());
    cpu.reg(Gpr::Rsp) = rsp;
  } else {
    StackCursor stack(cpu);
    stack.push(op->operand_bytes, cpu.next_rip());
    stack.commit();
  }
  return take_jump(cpu, op);
}

std::uint64_t indirect_target(Cpu& cpu, const Op* op) {
  if (!op->has(Op::kMemory)) return get_bytes(cpu, op->dst, op->operand_bytes);
  return load_bytes(cpu, operand_address(cpu, op, op->operand_bytes, false), op->operand_bytes);
}

const Op* jump_indirect(Cpu& cpu, const Op* op) {
  const std::uint64_t target = indirect_target(cpu, op);
  check_branch_target(cpu, target);
  return go_to(cpu, target);
}

const Op* call_indirect(Cpu& cpu, const Op* op) {
  const std::uint64_t target = indirect_target(cpu, op);
  check_branch_target(cpu, target);
  StackCursor stack(cpu);
  stack.push(op->operand_bytes, cpu.next_rip());
  stack.commit();
  return go_to(cpu, target);
}

const Op* return_near(Cpu& cpu, const Op* op) {
  StackCursor stack(cpu);
  const std::uint64_t target = stack.pop(op->operand_bytes);
  check_branch_target(cpu, target);
  stack.skip(op->immediate);
  stack.commit();
  return go_to(cpu, target);
}

// Displacement from the block's first byte: `op.offset` is the instruction's.
Handler direct(const Decoded& decoded, Op& op, Handler handler) {
  op.displacement =
      static_cast<std::int32_t>(op.offset + decoded.instruction.length + decoded.operands[0].imm.value.s);
  op.link = nullptr;
  return handler;
}

Handler select_loop(const Decoded& decoded, Op& op, std::uint8_t kind) {
  op.dst = kind;
  return direct(decoded, op, loop);
}

bool is_far(const Decoded& decoded) { return decoded.instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR; }

Handler select_jump(const Decoded& decoded, Op& op) {
  if (is_far(decoded)) return nullptr;
  return decoded.is_immediate(0) ? direct(decoded, op, jump) : jump_indirect;
}
Handler select_call(const Decoded& decoded, Op& op) {
  if (is_far(decoded)) return nullptr;
  return decoded.is_immediate(0) ? direct(decoded, op, call) : call_indirect;
}
Handler select_return(const Decoded& decoded, Op& op) {
  if (is_far(decoded)) return nullptr;
  op.immediate = decoded.visible() > 0 ? decoded.operands[0].imm.value.u & 0xffff : 0;
  return return_near;
}

}  // namespace

const Op* continue_behind(Cpu& cpu, const Op* op) { return take_jump(cpu, op); }

const Op* stop_behind(Cpu& cpu, const Op* op) {
  cpu.rip_base() = (cpu.rip_base() + op->offset) & cpu.ip_mask;
  return nullptr;
}

const Op* resume_elsewhere(Cpu& cpu, const Op* op) {
  cpu.rip_base() = (cpu.rip_base() + op->offset) & cpu.ip_mask;
  return nullptr;
}

Handler select_branch(const Decoded& decoded, Op& op) {
  const auto bytes = static_cast<std::uint8_t>(decoded.is_64bit ? 8 : decoded.instruction.operand_width / 8);
  const auto& instruction = decoded.instruction;
  switch (instruction.meta.category) {
    case ZYDIS_CATEGORY_COND_BR:
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
      break;
    default:
      return nullptr;
  }
  if (!is_far(decoded)) {
    op.operand_bytes = bytes;
    if (!op.has(Op::kMemory)) {
      op.segment = decoded.is_64bit ? kFlatStackSegment : static_cast<std::uint8_t>(x86::SegmentName::Ss);
    }
  }
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_JMP:
      return select_jump(decoded, op);
    case ZYDIS_MNEMONIC_CALL:
      return select_call(decoded, op);
    case ZYDIS_MNEMONIC_RET:
      return select_return(decoded, op);
    case ZYDIS_MNEMONIC_LOOPNE:
      return select_loop(decoded, op, 0);
    case ZYDIS_MNEMONIC_LOOPE:
      return select_loop(decoded, op, 1);
    case ZYDIS_MNEMONIC_LOOP:
      return select_loop(decoded, op, 2);
    case ZYDIS_MNEMONIC_JCXZ:
    case ZYDIS_MNEMONIC_JECXZ:
    case ZYDIS_MNEMONIC_JRCXZ:
      return direct(decoded, op, jump_if_count_zero);
    default:
      break;
  }
  if (instruction.meta.category != ZYDIS_CATEGORY_COND_BR || !decoded.is_immediate(0)) return nullptr;
  constexpr auto kHandlers = conditional_jumps(std::make_index_sequence<16>());
  return direct(decoded, op, kHandlers[condition_of(instruction)]);
}

}  // namespace berth::engine::soft

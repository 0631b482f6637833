#include "engine/soft/segment.hpp"

#include "engine/soft/decoded.hpp"
#include "engine/soft/modify.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

constexpr std::uint32_t error_of(std::uint16_t selector) { return selector & 0xfffcu; }

struct Table {
  std::uint64_t base = 0;
  std::uint32_t limit = 0;
  bool usable = true;
};

Table table_of(const Cpu& cpu, std::uint16_t selector) {
  if ((selector & 4) == 0) return {cpu.arch.gdtr.base, cpu.arch.gdtr.limit};
  return {cpu.arch.ldtr.base, cpu.arch.ldtr.limit, (cpu.arch.ldtr.attributes & attribute::kPresent) != 0};
}

void check_stack(Cpu& cpu, std::uint16_t selector, const Descriptor& descriptor) {
  const unsigned rpl = selector & 3;
  if (rpl != cpu.cpl || !descriptor.is_writable_data() || descriptor.dpl() != cpu.cpl) {
    raise(cpu, Vector::Gp, error_of(selector));
  }
  if (!descriptor.is_present()) raise(cpu, Vector::Ss, error_of(selector));
}

void check_data(Cpu& cpu, std::uint16_t selector, const Descriptor& descriptor) {
  if (!descriptor.is_code_or_data() || !descriptor.is_readable()) raise(cpu, Vector::Gp, error_of(selector));
  const bool needs_privilege = !descriptor.is_code() || !descriptor.is_conforming();
  const unsigned rpl = selector & 3;
  if (needs_privilege && (rpl > descriptor.dpl() || cpu.cpl > descriptor.dpl()))
    raise(cpu, Vector::Gp, error_of(selector));
  if (!descriptor.is_present()) raise(cpu, Vector::Np, error_of(selector));
}

void load_null(Cpu& cpu, SegmentName name, std::uint16_t selector) {
  if (name == SegmentName::Ss) {  // allowed in 64-bit mode only, and not at CPL 3
    if (!cpu.is_64bit() || cpu.cpl == 3 || (selector & 3) != cpu.cpl) raise(cpu, Vector::Gp);
    return set_null_stack_segment(cpu, selector, cpu.cpl);
  }
  // The base stays, as on AMD's processors before Zen 2 it did; nothing can use it but FS and GS in 64-bit
  // mode.
  cpu.segment(name) = Segment{.base = 0, .limit = 0, .selector = selector, .attributes = 0};
}

}  // namespace

bool has_descriptor(Cpu& cpu, std::uint16_t selector) {
  const Table table = table_of(cpu, selector);
  return table.usable && (selector | 7u) <= table.limit;
}

std::uint64_t descriptor_address(Cpu& cpu, std::uint16_t selector, Vector vector, std::uint32_t external) {
  if (!has_descriptor(cpu, selector)) raise(cpu, vector, error_of(selector) | external);
  const std::uint64_t linear = table_of(cpu, selector).base + (selector & ~7u);
  return cpu.is_long() ? linear : linear & 0xffffffff;
}

Descriptor read_descriptor(Cpu& cpu, std::uint16_t selector, Vector vector, std::uint32_t external) {
  return Descriptor{load_system<std::uint64_t>(cpu, descriptor_address(cpu, selector, vector, external))};
}

std::uint64_t read_long_base(Cpu& cpu, std::uint16_t selector, const Descriptor& descriptor) {
  const std::uint64_t low = descriptor.base();
  if (!cpu.is_long()) return low;
  if ((selector | 7u) + 8 > table_of(cpu, selector).limit) raise(cpu, Vector::Gp, error_of(selector));
  const auto high = load_system<std::uint32_t>(cpu, descriptor_address(cpu, selector, Vector::Gp) + 8);
  const std::uint64_t base = std::uint64_t{high} << 32 | low;
  if (!is_canonical(base)) raise(cpu, Vector::Gp, error_of(selector));
  return base;
}

void mark_accessed(Cpu& cpu, std::uint16_t selector, Descriptor& descriptor) {
  if ((descriptor.type() & attribute::kAccessed) != 0) return;
  descriptor.raw |= std::uint64_t{1} << 40;
  const std::uint64_t linear = descriptor_address(cpu, selector, Vector::Gp);
  store_system(cpu, linear + 5, static_cast<std::uint8_t>(descriptor.raw >> 40));
}

void load_real_segment(Cpu& cpu, SegmentName name, std::uint16_t selector) {
  Segment& segment = cpu.segment(name);
  segment.selector = selector;
  segment.base = std::uint64_t{selector} << 4;
  if (cpu.is_v86())
    segment = {.base = segment.base, .limit = 0xffff, .selector = selector, .attributes = 0xf3};
  if (name == SegmentName::Cs)
    segment.attributes = static_cast<std::uint16_t>((segment.attributes & ~0xfu) | 0x9b);
  update_mode(cpu);
}

void load_segment(Cpu& cpu, SegmentName name, std::uint16_t selector) {
  if (cpu.is_real_or_v86()) return load_real_segment(cpu, name, selector);
  if (is_null(selector)) {
    load_null(cpu, name, selector);
    return update_mode(cpu);
  }
  Descriptor descriptor = read_descriptor(cpu, selector, Vector::Gp);
  if (name == SegmentName::Ss) {
    check_stack(cpu, selector, descriptor);
  } else {
    check_data(cpu, selector, descriptor);
  }
  mark_accessed(cpu, selector, descriptor);
  cpu.segment(name) = descriptor.segment(selector);
  update_mode(cpu);
}

void set_code_segment(Cpu& cpu, std::uint16_t selector, const Descriptor& descriptor, unsigned cpl) {
  Descriptor accessed = descriptor;
  mark_accessed(cpu, selector, accessed);
  cpu.segment(SegmentName::Cs) = accessed.segment(static_cast<std::uint16_t>((selector & ~3u) | cpl));
  cpu.cpl = static_cast<std::uint8_t>(cpl);
  update_mode(cpu);
}

void set_stack_segment(Cpu& cpu, std::uint16_t selector, const Descriptor& descriptor, unsigned cpl) {
  Descriptor accessed = descriptor;
  mark_accessed(cpu, selector, accessed);
  cpu.segment(SegmentName::Ss) = accessed.segment(selector);
  cpu.cpl = static_cast<std::uint8_t>(cpl);
  update_mode(cpu);
}

void set_null_stack_segment(Cpu& cpu, std::uint16_t selector, unsigned cpl) {
  cpu.segment(SegmentName::Ss) = Segment{.base = 0,
                                         .limit = 0xffffffff,
                                         .selector = selector,
                                         .attributes = static_cast<std::uint16_t>(0xc93 | cpl << 5)};
  cpu.cpl = static_cast<std::uint8_t>(cpl);
  update_mode(cpu);
}

void drop_inner_segments(Cpu& cpu) {
  for (const SegmentName name : {SegmentName::Es, SegmentName::Ds, SegmentName::Fs, SegmentName::Gs}) {
    Segment& segment = cpu.segment(name);
    if ((segment.attributes & attribute::kPresent) == 0) continue;
    const bool conforming = (segment.attributes & (attribute::kCode | attribute::kConforming)) ==
                            (attribute::kCode | attribute::kConforming);
    const unsigned dpl = segment.attributes >> 5 & 3u;
    if (!conforming && dpl < cpu.cpl)
      segment = Segment{.base = segment.base, .limit = 0, .selector = 0, .attributes = 0};
  }
  update_mode(cpu);
}

namespace {

const Op* move_to_segment(Cpu& cpu, const Op* op) {
  const auto selector = op->has(Op::kMemory) ? load<std::uint16_t>(cpu, operand_address(cpu, op, 2, false))
                                             : get<std::uint16_t>(cpu, op->src);
  const auto name = static_cast<SegmentName>(op->dst);
  load_segment(cpu, name, selector);
  if (name == SegmentName::Ss) cpu.shadow = cpu.debug_shadow = true;
  return end_block(cpu, op);
}

const Op* move_from_segment(Cpu& cpu, const Op* op) {
  const std::uint16_t selector = cpu.arch.segments[op->src].selector;
  if (op->has(Op::kMemory)) {
    store(cpu, operand_address(cpu, op, 2, true), selector);
  } else {
    set_bytes(cpu, op->dst, op->operand_bytes, selector);
  }
  return op + 1;
}

// LDS and its like: `immediate` names the segment register.
const Op* load_far_pointer(Cpu& cpu, const Op* op) {
  const std::uint64_t linear = operand_address(cpu, op, op->operand_bytes + 2u, false);
  const std::uint64_t offset = load_bytes(cpu, linear, op->operand_bytes);
  const auto selector = load<std::uint16_t>(cpu, linear + op->operand_bytes);
  load_segment(cpu, static_cast<SegmentName>(op->immediate), selector);
  set_bytes(cpu, op->dst, op->operand_bytes, offset);
  return end_block(cpu, op);
}

std::uint16_t selector_operand(Cpu& cpu, const Op* op, std::uint8_t reg) {
  return op->has(Op::kMemory) ? load<std::uint16_t>(cpu, operand_address(cpu, op, 2, false))
                              : get<std::uint16_t>(cpu, reg);
}

void set_zf(Cpu& cpu, bool value) {
  constexpr std::uint64_t kZf = 1 << 14;
  cpu.native.flags = value ? cpu.native.flags | kZf : cpu.native.flags & ~kZf;
}

// What LAR, LSL, VERR and VERW may look at: `system_types` is a set of system descriptors' types.
bool is_visible(Cpu& cpu, std::uint16_t selector, std::uint32_t system_types, Descriptor& descriptor) {
  if (is_null(selector) || !has_descriptor(cpu, selector)) return false;
  descriptor = read_descriptor(cpu, selector, Vector::Gp);
  if (!descriptor.is_code_or_data() && (system_types >> descriptor.type() & 1) == 0) return false;
  if (descriptor.is_code() && descriptor.is_conforming()) return true;
  return descriptor.dpl() >= cpu.cpl && descriptor.dpl() >= (selector & 3u);
}

enum Query : std::uint8_t { kRights, kLimit, kReadable, kWritable };

template <Query Kind>
const Op* query_descriptor(Cpu& cpu, const Op* op) {
  if (cpu.is_real_or_v86()) raise(cpu, Vector::Ud);
  constexpr bool kOneOperand = Kind == kReadable || Kind == kWritable;
  const std::uint16_t selector = selector_operand(cpu, op, kOneOperand ? op->dst : op->src);
  const std::uint32_t legacy_types = Kind == kRights ? 0x1a3e : Kind == kLimit ? 0x0a0e : 0;
  const std::uint32_t long_types = Kind == kRights ? 0x1a04 : Kind == kLimit ? 0x0a04 : 0;
  Descriptor descriptor;
  bool visible = is_visible(cpu, selector, cpu.is_long() ? long_types : legacy_types, descriptor);
  if (Kind == kReadable) visible = visible && descriptor.is_readable();
  if (Kind == kWritable) visible = visible && descriptor.is_writable_data();
  set_zf(cpu, visible);
  if (visible && Kind == kRights) set_bytes(cpu, op->dst, op->operand_bytes, descriptor.raw >> 32 & 0xf0ff00);
  if (visible && Kind == kLimit) set_bytes(cpu, op->dst, op->operand_bytes, descriptor.limit());
  return op + 1;
}

const Op* adjust_rpl(Cpu& cpu, const Op* op) {
  if (cpu.is_real_or_v86()) raise(cpu, Vector::Ud);
  const unsigned rpl = get<std::uint16_t>(cpu, op->src) & 3u;
  const auto adjusted = [rpl](std::uint16_t value) {
    return (value & 3u) < rpl ? static_cast<std::uint16_t>((value & ~3u) | rpl) : value;
  };
  bool changed = false;
  if (op->has(Op::kMemory)) {
    modify<std::uint16_t>(cpu, op, [&](std::uint16_t value, std::uint64_t&) {
      changed = adjusted(value) != value;
      return adjusted(value);
    });
  } else {
    const auto value = get<std::uint16_t>(cpu, op->dst);
    changed = adjusted(value) != value;
    set(cpu, op->dst, adjusted(value));
  }
  set_zf(cpu, changed);
  return op + 1;
}

Handler far_pointer(Op& op, SegmentName name) {
  op.immediate = static_cast<std::uint64_t>(name);
  return load_far_pointer;
}

const Op* undefined(Cpu& cpu, const Op*) { raise(cpu, Vector::Ud); }

Handler select_segment_move(const Decoded& decoded, Op& op) {
  if (decoded.is_register(0) && decoded.register_class(0) == ZYDIS_REGCLASS_SEGMENT) {
    op.dst = static_cast<std::uint8_t>(decoded.register_id(0));
    return op.dst == static_cast<std::uint8_t>(SegmentName::Cs) ? undefined : move_to_segment;
  }
  if (decoded.is_register(1) && decoded.register_class(1) == ZYDIS_REGCLASS_SEGMENT) {
    op.src = static_cast<std::uint8_t>(decoded.register_id(1));
    op.operand_bytes = static_cast<std::uint8_t>(decoded.bytes(0));
    return move_from_segment;
  }
  return nullptr;
}

}  // namespace

Handler select_segment(const Decoded& decoded, Op& op) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_MOV:
      return select_segment_move(decoded, op);
    case ZYDIS_MNEMONIC_LDS:
      return far_pointer(op, SegmentName::Ds);
    case ZYDIS_MNEMONIC_LES:
      return far_pointer(op, SegmentName::Es);
    case ZYDIS_MNEMONIC_LFS:
      return far_pointer(op, SegmentName::Fs);
    case ZYDIS_MNEMONIC_LGS:
      return far_pointer(op, SegmentName::Gs);
    case ZYDIS_MNEMONIC_LSS:
      return far_pointer(op, SegmentName::Ss);
    case ZYDIS_MNEMONIC_LAR:
      return query_descriptor<kRights>;
    case ZYDIS_MNEMONIC_LSL:
      return query_descriptor<kLimit>;
    case ZYDIS_MNEMONIC_VERR:
      return query_descriptor<kReadable>;
    case ZYDIS_MNEMONIC_VERW:
      return query_descriptor<kWritable>;
    case ZYDIS_MNEMONIC_ARPL:
      return adjust_rpl;
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

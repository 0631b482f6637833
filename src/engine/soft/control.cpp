// Control and debug registers, descriptor-table registers, the TLB, CPUID, and the processor's idle states.
#include "engine/soft/decoded.hpp"
#include "engine/soft/segment.hpp"
#include "x86/cpuid.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

constexpr std::uint64_t kCr0Bits = cr0::kPe | cr0::kMp | cr0::kEm | cr0::kTs | cr0::kEt | cr0::kNe |
                                   cr0::kWp | cr0::kAm | cr0::kNw | cr0::kCd | cr0::kPg;
constexpr std::uint64_t kCr4Bits = cr4::kTsd | cr4::kDe | cr4::kPse | cr4::kPae | cr4::kMce | cr4::kPge |
                                   cr4::kPce | cr4::kOsfxsr | cr4::kOsxmmexcpt | cr4::kUmip | cr4::kFsgsbase |
                                   cr4::kPcide | cr4::kOsxsave | cr4::kSmep | cr4::kSmap;

// Entering and leaving long mode with CR0.PG (SDM vol. 3, 9.8.5).
void check_paging_change(Cpu& cpu, std::uint64_t value) {
  const bool pg = (value & cr0::kPg) != 0;
  const bool was = (cpu.arch.cr0 & cr0::kPg) != 0;
  if (pg && !was && (cpu.arch.efer & efer::kLme) != 0) {
    const bool code_is_long = (cpu.segment(SegmentName::Cs).attributes & attribute::kLong) != 0;
    if ((cpu.arch.cr4 & cr4::kPae) == 0 || code_is_long) raise(cpu, Vector::Gp);
    cpu.arch.efer |= efer::kLma;
  }
  if (!pg && was) {
    if (cpu.is_64bit() || (cpu.arch.cr4 & cr4::kPcide) != 0) raise(cpu, Vector::Gp);
    cpu.arch.efer &= ~efer::kLma;
  }
}

void write_cr0(Cpu& cpu, std::uint64_t value) {
  const bool bad = value >> 32 != 0 || ((value & cr0::kPg) != 0 && (value & cr0::kPe) == 0) ||
                   ((value & cr0::kNw) != 0 && (value & cr0::kCd) == 0);
  if (bad) raise(cpu, Vector::Gp);
  check_paging_change(cpu, value);
  const std::uint64_t changed = cpu.arch.cr0 ^ value;
  cpu.arch.cr0 = (value & kCr0Bits) | cr0::kEt;
  if ((changed & (cr0::kPg | cr0::kWp | cr0::kPe | cr0::kAm)) != 0) flush_tlbs(cpu, true);
  update_mode(cpu);
}

void write_cr3(Cpu& cpu, std::uint64_t value) {
  const bool pcid = (cpu.arch.cr4 & cr4::kPcide) != 0;
  const std::uint64_t no_flush = std::uint64_t{1} << 63;
  if (pcid) value &= ~no_flush;
  if (cpu.is_long() && value >> kPhysicalBits != 0) raise(cpu, Vector::Gp);
  cpu.arch.cr3 = value;
  flush_tlbs(cpu, false);
}

void write_cr4(Cpu& cpu, std::uint64_t value) {
  const std::uint64_t changed = cpu.arch.cr4 ^ value;
  bool bad = (value & ~kCr4Bits) != 0;
  bad |= cpu.is_long() && (value & cr4::kPae) == 0;
  bad |= (changed & value & cr4::kPcide) != 0 && (!cpu.is_long() || (cpu.arch.cr3 & 0xfff) != 0);
  if (bad) raise(cpu, Vector::Gp);
  cpu.arch.cr4 = value;
  if ((changed & (cr4::kPge | cr4::kPae | cr4::kPse | cr4::kPcide | cr4::kSmep | cr4::kSmap)) != 0)
    flush_tlbs(cpu, true);
  update_mode(cpu);
}

const Op* move_to_control(Cpu& cpu, const Op* op) {
  const std::uint64_t value = get_bytes(cpu, op->src, op->operand_bytes);
  switch (op->dst) {
    case 0:
      write_cr0(cpu, value);
      break;
    case 2:
      cpu.arch.cr2 = value;
      break;
    case 3:
      write_cr3(cpu, value);
      break;
    case 4:
      write_cr4(cpu, value);
      break;
    case 8:
      if (value > 15) raise(cpu, Vector::Gp);
      cpu.machine->set_task_priority(value);
      cpu.attention.fetch_or(kAttentionInterrupt);
      break;
    default:
      raise(cpu, Vector::Ud);
  }
  return end_block(cpu, op);
}

const Op* move_from_control(Cpu& cpu, const Op* op) {
  std::uint64_t value = 0;
  switch (op->src) {
    case 0:
      value = cpu.arch.cr0;
      break;
    case 2:
      value = cpu.arch.cr2;
      break;
    case 3:
      value = cpu.arch.cr3;
      break;
    case 4:
      value = cpu.arch.cr4;
      break;
    case 8:
      value = cpu.machine->task_priority();
      break;
    default:
      raise(cpu, Vector::Ud);
  }
  set_bytes(cpu, op->dst, op->operand_bytes, value);
  return op + 1;
}

// DR4 and DR5 are DR6 and DR7 unless CR4.DE says they are not there.
unsigned debug_register(Cpu& cpu, unsigned number) {
  if (number > 7) raise(cpu, Vector::Ud);
  if (number == 4 || number == 5) {
    if ((cpu.arch.cr4 & cr4::kDe) != 0) raise(cpu, Vector::Ud);
    number += 2;
  }
  if ((cpu.arch.dr7 & dr7::kGd) != 0) {
    cpu.arch.dr6 |= dr6::kBd;
    cpu.arch.dr7 &= ~dr7::kGd;
    raise(cpu, Vector::Db);
  }
  return number;
}

const Op* move_to_debug(Cpu& cpu, const Op* op) {
  const unsigned number = debug_register(cpu, op->dst);
  const std::uint64_t value = get_bytes(cpu, op->src, op->operand_bytes);
  if (number >= 6 && value >> 32 != 0) raise(cpu, Vector::Gp);
  if (number < 4) {
    cpu.arch.dr[number] = value;
  } else if (number == 6) {
    cpu.arch.dr6 = (value & 0xe00f) | dr6::kFixed;
  } else {
    cpu.arch.dr7 = (value & 0xffff2bff) | dr7::kFixed;
  }
  update_mode(cpu);
  return end_block(cpu, op);
}

const Op* move_from_debug(Cpu& cpu, const Op* op) {
  const unsigned number = debug_register(cpu, op->src);
  const std::uint64_t value = number < 4 ? cpu.arch.dr[number] : number == 6 ? cpu.arch.dr6 : cpu.arch.dr7;
  set_bytes(cpu, op->dst, op->operand_bytes, value);
  return op + 1;
}

const Op* clear_task_switched(Cpu& cpu, const Op* op) {
  cpu.arch.cr0 &= ~cr0::kTs;
  update_mode(cpu);
  return op + 1;
}

const Op* load_status_word(Cpu& cpu, const Op* op) {
  const auto value = op->has(Op::kMemory) ? load<std::uint16_t>(cpu, operand_address(cpu, op, 2, false))
                                          : get<std::uint16_t>(cpu, op->dst);
  // LMSW sets PE and never clears it.
  cpu.arch.cr0 = (cpu.arch.cr0 & ~std::uint64_t{0xe}) | (value & 0xfu);
  flush_tlbs(cpu, true);
  update_mode(cpu);
  return end_block(cpu, op);
}

void check_umip(Cpu& cpu) {
  if (cpu.cpl > 0 && (cpu.arch.cr4 & cr4::kUmip) != 0) raise(cpu, Vector::Gp);
}

const Op* store_word(Cpu& cpu, const Op* op, std::uint64_t value) {
  if (op->has(Op::kMemory)) {
    store(cpu, operand_address(cpu, op, 2, true), static_cast<std::uint16_t>(value));
  } else {
    set_bytes(cpu, op->dst, op->operand_bytes, value);
  }
  return op + 1;
}
const Op* store_status_word(Cpu& cpu, const Op* op) {
  check_umip(cpu);
  return store_word(cpu, op, cpu.arch.cr0);
}
const Op* store_ldt(Cpu& cpu, const Op* op) {
  if (cpu.is_real_or_v86()) raise(cpu, Vector::Ud);
  check_umip(cpu);
  return store_word(cpu, op, cpu.arch.ldtr.selector);
}
const Op* store_task(Cpu& cpu, const Op* op) {
  if (cpu.is_real_or_v86()) raise(cpu, Vector::Ud);
  check_umip(cpu);
  return store_word(cpu, op, cpu.arch.tr.selector);
}

template <TableRegister CpuState::*Table>
const Op* load_table(Cpu& cpu, const Op* op) {
  const unsigned base_bytes = cpu.is_64bit() ? 8 : 4;
  const std::uint64_t linear = operand_address(cpu, op, 2 + base_bytes, false);
  const auto limit = load<std::uint16_t>(cpu, linear);
  std::uint64_t base = load_bytes(cpu, linear + 2, base_bytes);
  if (!cpu.is_64bit() && op->operand_bytes == 2) base &= 0xffffff;
  if (cpu.is_64bit() && !is_canonical(base)) raise(cpu, Vector::Gp);
  cpu.arch.*Table = {base, limit};
  return op + 1;
}
template <TableRegister CpuState::*Table>
const Op* store_table(Cpu& cpu, const Op* op) {
  check_umip(cpu);
  const unsigned base_bytes = cpu.is_64bit() ? 8 : 4;
  const std::uint64_t linear = operand_address(cpu, op, 2 + base_bytes, true);
  check_store(cpu, linear, 2 + base_bytes);
  store(cpu, linear, (cpu.arch.*Table).limit);
  store_bytes(cpu, linear + 2, base_bytes, (cpu.arch.*Table).base);
  return op + 1;
}

std::uint16_t selector_operand(Cpu& cpu, const Op* op) {
  return op->has(Op::kMemory) ? load<std::uint16_t>(cpu, operand_address(cpu, op, 2, false))
                              : get<std::uint16_t>(cpu, op->dst);
}

const Op* load_ldt(Cpu& cpu, const Op* op) {
  if (cpu.is_real_or_v86()) raise(cpu, Vector::Ud);
  const std::uint16_t selector = selector_operand(cpu, op);
  if (is_null(selector)) {
    cpu.arch.ldtr = Segment{.base = 0, .limit = 0, .selector = selector, .attributes = 0};
    return op + 1;
  }
  const std::uint32_t error = selector & 0xfffcu;
  if ((selector & 4) != 0) raise(cpu, Vector::Gp, error);
  const Descriptor descriptor = read_descriptor(cpu, selector, Vector::Gp);
  if (descriptor.is_code_or_data() || descriptor.type() != system_type::kLdt) raise(cpu, Vector::Gp, error);
  if (!descriptor.is_present()) raise(cpu, Vector::Np, error);
  Segment segment = descriptor.segment(selector);
  segment.base = read_long_base(cpu, selector, descriptor);
  cpu.arch.ldtr = segment;
  return op + 1;
}

const Op* load_task(Cpu& cpu, const Op* op) {
  if (cpu.is_real_or_v86()) raise(cpu, Vector::Ud);
  const std::uint16_t selector = selector_operand(cpu, op);
  const std::uint32_t error = selector & 0xfffcu;
  if (is_null(selector)) raise(cpu, Vector::Gp);
  if ((selector & 4) != 0) raise(cpu, Vector::Gp, error);
  const Descriptor descriptor = read_descriptor(cpu, selector, Vector::Gp);
  const unsigned type = descriptor.type();
  const bool fits = type == system_type::kTss32 || (type == system_type::kTss16 && !cpu.is_long());
  if (descriptor.is_code_or_data() || !fits) raise(cpu, Vector::Gp, error);
  if (!descriptor.is_present()) raise(cpu, Vector::Np, error);
  Segment segment = descriptor.segment(selector);
  segment.base = read_long_base(cpu, selector, descriptor);
  segment.attributes |= 2;  // busy
  const std::uint64_t linear = descriptor_address(cpu, selector, Vector::Gp) + 5;
  store_system(cpu, linear, static_cast<std::uint8_t>(descriptor.raw >> 40 | 2));
  cpu.arch.tr = segment;
  return op + 1;
}

void flush_page(Cpu& cpu, std::uint64_t linear) {
  const bool may_be_large = cpu.large_pages.may_cover(linear);
  for (Tlb& tlb : cpu.tlbs) tlb.flush_page(linear, may_be_large);
  if (may_be_large) {
    cpu.slots.empty(true);
  } else {
    cpu.slots.empty_page(linear & kPageMask);
  }
}

const Op* invalidate_page(Cpu& cpu, const Op* op) {
  // Its address is not checked against a segment's limit, nor for being canonical.
  std::uint64_t offset = operand_offset(cpu, op);
  if (op->address_bytes < 8) offset &= op->address_bytes == 4 ? 0xffffffff : 0xffff;
  flush_page(cpu, cpu.is_64bit() ? offset + cpu.segment_base[op->segment]
                                 : (offset + cpu.arch.segments[op->segment].base) & 0xffffffff);
  return end_block(cpu, op);
}

const Op* invalidate_pcid(Cpu& cpu, const Op* op) {
  if (cpu.is_real_or_v86()) raise(cpu, cpu.is_v86() ? Vector::Gp : Vector::Ud);
  const std::uint64_t linear = operand_address(cpu, op, 16, false);
  const std::uint64_t kind = get_bytes(cpu, op->dst, cpu.is_64bit() ? 8 : 4);
  const auto pcid = load<std::uint64_t>(cpu, linear);
  const auto address = load<std::uint64_t>(cpu, linear + 8);
  if (kind > 3 || (kind < 2 && pcid >> 12 != 0)) raise(cpu, Vector::Gp);
  const bool has_pcid = (cpu.arch.cr4 & cr4::kPcide) != 0;
  if (kind < 2 && !has_pcid && pcid != 0) raise(cpu, Vector::Gp);
  if (kind == 0 && !is_canonical(address)) raise(cpu, Vector::Gp);
  if (kind == 0) {
    flush_page(cpu, address);
  } else {
    flush_tlbs(cpu, kind == 2);
  }
  return end_block(cpu, op);
}

const Op* halt(Cpu& cpu, const Op* op) {
  cpu.arch.activity = Activity::Halted;
  return end_block(cpu, op);
}

const Op* identify(Cpu& cpu, const Op* op) {
  const auto leaf = get<std::uint32_t>(cpu, offset_of(Gpr::Rax));
  const auto subleaf = get<std::uint32_t>(cpu, offset_of(Gpr::Rcx));
  CpuidResult result = cpu.machine->cpuid(leaf, subleaf);
  const bool has_xsave = (cpu.arch.cr4 & cr4::kOsxsave) != 0;
  if (leaf == 1) result.ecx = (result.ecx & ~(1u << 27)) | (has_xsave ? 1u << 27 : 0);
  if (leaf == 0xd && subleaf < 2) result.ebx = (cpu.arch.xcr0 & 4) != 0 ? 832 : 576;
  set(cpu, offset_of(Gpr::Rax), result.eax);
  set(cpu, offset_of(Gpr::Rbx), result.ebx);
  set(cpu, offset_of(Gpr::Rcx), result.ecx);
  set(cpu, offset_of(Gpr::Rdx), result.edx);
  return op + 1;
}

// A hint that may look at its operand's address but reads nothing.
const Op* flush_line(Cpu& cpu, const Op* op) {
  load<std::uint8_t>(cpu, operand_address(cpu, op, 1, false));
  return op + 1;
}

Handler select_special_move(const Decoded& decoded, Op& op) {
  const auto bytes = static_cast<std::uint8_t>(decoded.is_64bit ? 8 : 4);
  for (unsigned i = 0; i < 2; ++i) {
    if (!decoded.is_register(i)) continue;
    const ZydisRegisterClass kind = decoded.register_class(i);
    if (kind != ZYDIS_REGCLASS_CONTROL && kind != ZYDIS_REGCLASS_DEBUG) continue;
    op.operand_bytes = bytes;
    (i == 0 ? op.dst : op.src) = static_cast<std::uint8_t>(decoded.register_id(i));
    if (kind == ZYDIS_REGCLASS_CONTROL) return i == 0 ? move_to_control : move_from_control;
    return i == 0 ? move_to_debug : move_from_debug;
  }
  return nullptr;
}

}  // namespace

const Op* do_nothing(Cpu&, const Op* op) { return op + 1; }

bool is_special_move(const Decoded& decoded) {
  for (unsigned i = 0; i < 2; ++i) {
    if (!decoded.is_register(i)) continue;
    const ZydisRegisterClass kind = decoded.register_class(i);
    if (kind == ZYDIS_REGCLASS_CONTROL || kind == ZYDIS_REGCLASS_DEBUG) return true;
  }
  return false;
}

Handler select_control(const Decoded& decoded, Op& op) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_MOV:
      return select_special_move(decoded, op);
    case ZYDIS_MNEMONIC_CLTS:
      return clear_task_switched;
    case ZYDIS_MNEMONIC_LMSW:
      return load_status_word;
    case ZYDIS_MNEMONIC_SMSW:
      op.operand_bytes = static_cast<std::uint8_t>(decoded.bytes(0));
      return store_status_word;
    case ZYDIS_MNEMONIC_SLDT:
      op.operand_bytes = static_cast<std::uint8_t>(decoded.bytes(0));
      return store_ldt;
    case ZYDIS_MNEMONIC_STR:
      op.operand_bytes = static_cast<std::uint8_t>(decoded.bytes(0));
      return store_task;
    case ZYDIS_MNEMONIC_LGDT:
    case ZYDIS_MNEMONIC_LIDT:
      op.operand_bytes = static_cast<std::uint8_t>(decoded.instruction.operand_width / 8);
      return decoded.mnemonic() == ZYDIS_MNEMONIC_LGDT ? load_table<&CpuState::gdtr>
                                                       : load_table<&CpuState::idtr>;
    case ZYDIS_MNEMONIC_SGDT:
      return store_table<&CpuState::gdtr>;
    case ZYDIS_MNEMONIC_SIDT:
      return store_table<&CpuState::idtr>;
    case ZYDIS_MNEMONIC_LLDT:
      return load_ldt;
    case ZYDIS_MNEMONIC_LTR:
      return load_task;
    case ZYDIS_MNEMONIC_INVLPG:
      return invalidate_page;
    case ZYDIS_MNEMONIC_INVPCID:
      return invalidate_pcid;
    case ZYDIS_MNEMONIC_HLT:
      return halt;
    case ZYDIS_MNEMONIC_CPUID:
      return identify;
    case ZYDIS_MNEMONIC_CLFLUSH:
    case ZYDIS_MNEMONIC_CLFLUSHOPT:
    case ZYDIS_MNEMONIC_CLWB:
      return flush_line;
    case ZYDIS_MNEMONIC_INVD:
    case ZYDIS_MNEMONIC_WBINVD:
    case ZYDIS_MNEMONIC_NOP:
    case ZYDIS_MNEMONIC_ENDBR32:
    case ZYDIS_MNEMONIC_ENDBR64:
    case ZYDIS_MNEMONIC_RDSSPD:
    case ZYDIS_MNEMONIC_RDSSPQ:
    case ZYDIS_MNEMONIC_CLDEMOTE:
    case ZYDIS_MNEMONIC_PAUSE:
    case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_SFENCE:
    case ZYDIS_MNEMONIC_PREFETCH:
    case ZYDIS_MNEMONIC_PREFETCHNTA:
    case ZYDIS_MNEMONIC_PREFETCHT0:
    case ZYDIS_MNEMONIC_PREFETCHT1:
    case ZYDIS_MNEMONIC_PREFETCHT2:
    case ZYDIS_MNEMONIC_PREFETCHW:
      return do_nothing;
    case ZYDIS_MNEMONIC_MFENCE:
      return [](Cpu&, const Op* at) {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return at + 1;
      };
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

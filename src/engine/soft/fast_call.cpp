// SYSCALL, SYSENTER and their returns; INT and its like.
#include "engine/soft/access.hpp"
#include "engine/soft/decoded.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

// Flat segments as these instructions load them, without looking at descriptors.
void set_flat_code(Cpu& cpu, std::uint64_t selector, unsigned cpl, bool is_long) {
  const unsigned size = is_long ? attribute::kLong : attribute::kBig;
  cpu.segment(SegmentName::Cs) = Segment{.base = 0,
                                         .limit = 0xffffffff,
                                         .selector = static_cast<std::uint16_t>((selector & 0xfffc) | cpl),
                                         .attributes = static_cast<std::uint16_t>(0x89b | size | cpl << 5)};
}
void set_flat_stack(Cpu& cpu, std::uint64_t selector, unsigned cpl) {
  cpu.segment(SegmentName::Ss) = Segment{.base = 0,
                                         .limit = 0xffffffff,
                                         .selector = static_cast<std::uint16_t>((selector & 0xfffc) | cpl),
                                         .attributes = static_cast<std::uint16_t>(0xc93 | cpl << 5)};
}

const Op* system_call(Cpu& cpu, const Op* op) {
  if ((cpu.arch.efer & efer::kSce) == 0 || cpu.is_real_or_v86()) raise(cpu, Vector::Ud);
  const std::uint64_t selector = cpu.arch.star >> 32 & 0xffff;
  const std::uint64_t flags = get_rflags(cpu) & ~rflags::kRf;
  const std::uint64_t next = cpu.next_rip();
  std::uint64_t target = cpu.arch.star & 0xffffffff;
  if (cpu.is_long()) {
    target = cpu.is_64bit() ? cpu.arch.lstar : cpu.arch.cstar;
    cpu.reg(Gpr::Rcx) = next;
    cpu.reg(Gpr::R11) = flags;
  } else {
    set(cpu, offset_of(Gpr::Rcx), static_cast<std::uint32_t>(next));
  }
  set_flat_code(cpu, selector, 0, cpu.is_long());
  set_flat_stack(cpu, selector + 8, 0);
  cpu.cpl = 0;
  const std::uint64_t cleared = cpu.is_long() ? cpu.arch.sfmask : rflags::kIf | rflags::kVm;
  set_rflags(cpu, (flags & ~cleared) | rflags::kOne);
  cpu.rip_base() = target;
  static_cast<void>(op);
  return nullptr;
}

const Op* system_return(Cpu& cpu, const Op* op) {
  if ((cpu.arch.efer & efer::kSce) == 0) raise(cpu, Vector::Ud);
  if (!cpu.is_protected()) raise(cpu, Vector::Gp);
  const bool to_64bit = op->operand_bytes == 8;
  const std::uint64_t target = to_64bit ? cpu.reg(Gpr::Rcx) : cpu.reg(Gpr::Rcx) & 0xffffffff;
  if (!is_canonical(target)) raise(cpu, Vector::Gp);
  const std::uint64_t selector = cpu.arch.star >> 48;
  const bool was_long = cpu.is_long();
  set_flat_code(cpu, selector + (to_64bit ? 16 : 0), 3, to_64bit);
  set_flat_stack(cpu, selector + 8, 3);
  cpu.cpl = 3;
  set_rflags(cpu, was_long ? (cpu.reg(Gpr::R11) & 0x3c7fd7) | rflags::kOne : get_rflags(cpu) | rflags::kIf);
  cpu.rip_base() = target;
  return nullptr;
}

const Op* system_enter(Cpu& cpu, const Op* op) {
  if (!cpu.is_protected() || (cpu.arch.sysenter_cs & 0xfffc) == 0) raise(cpu, Vector::Gp);
  const std::uint64_t width = cpu.is_long() ? ~std::uint64_t{0} : 0xffffffff;
  set_flat_code(cpu, cpu.arch.sysenter_cs, 0, cpu.is_long());
  set_flat_stack(cpu, cpu.arch.sysenter_cs + 8, 0);
  cpu.cpl = 0;
  set_rflags(cpu, get_rflags(cpu) & ~(rflags::kVm | rflags::kIf | rflags::kRf));
  cpu.reg(Gpr::Rsp) = cpu.arch.sysenter_esp & width;
  cpu.rip_base() = cpu.arch.sysenter_eip & width;
  static_cast<void>(op);
  return nullptr;
}

const Op* system_exit(Cpu& cpu, const Op* op) {
  if (!cpu.is_protected() || (cpu.arch.sysenter_cs & 0xfffc) == 0) raise(cpu, Vector::Gp);
  const bool to_64bit = op->operand_bytes == 8;
  const std::uint64_t width = to_64bit ? ~std::uint64_t{0} : 0xffffffff;
  const std::uint64_t target = cpu.reg(Gpr::Rdx) & width, stack = cpu.reg(Gpr::Rcx) & width;
  if (!is_canonical(target) || !is_canonical(stack)) raise(cpu, Vector::Gp);
  set_flat_code(cpu, cpu.arch.sysenter_cs + (to_64bit ? 32 : 16), 3, to_64bit);
  set_flat_stack(cpu, cpu.arch.sysenter_cs + (to_64bit ? 40 : 24), 3);
  cpu.cpl = 3;
  update_mode(cpu);
  cpu.reg(Gpr::Rsp) = stack;
  cpu.rip_base() = target;
  return nullptr;
}

// The event is delivered by the run loop, at RIP of this instruction, so that a fault on the way restarts it.
const Op* deliver_later(Cpu& cpu, std::uint8_t vector, Source source) {
  cpu.event = Event{.vector = vector, .source = source};
  cpu.event_return_rip = cpu.next_rip();
  cpu.event_pending = true;
  cpu.rip_base() = cpu.rip();
  return nullptr;
}

const Op* interrupt(Cpu& cpu, const Op* op) {
  if (cpu.is_v86() && cpu.iopl() < 3) raise(cpu, Vector::Gp);
  return deliver_later(cpu, static_cast<std::uint8_t>(op->immediate), Source::Software);
}
const Op* breakpoint(Cpu& cpu, const Op* op) {
  static_cast<void>(op);
  return deliver_later(cpu, static_cast<std::uint8_t>(Vector::Bp), Source::Software);
}
const Op* interrupt_1(Cpu& cpu, const Op* op) {
  static_cast<void>(op);
  return deliver_later(cpu, static_cast<std::uint8_t>(Vector::Db), Source::PrivilegedSoftware);
}
const Op* interrupt_on_overflow(Cpu& cpu, const Op* op) {
  if ((cpu.native.flags & 1) == 0) return op + 1;
  return deliver_later(cpu, static_cast<std::uint8_t>(Vector::Of), Source::Software);
}

}  // namespace

Handler select_fast_call(const Decoded& decoded, Op& op) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_SYSCALL:
      return system_call;
    case ZYDIS_MNEMONIC_SYSENTER:
      return system_enter;
    case ZYDIS_MNEMONIC_SYSRET:
    case ZYDIS_MNEMONIC_SYSEXIT: {
      const bool wide =
          (decoded.instruction.attributes & ZYDIS_ATTRIB_HAS_REX) != 0 && decoded.instruction.raw.rex.W != 0;
      op.operand_bytes = wide ? 8 : 4;
      return decoded.mnemonic() == ZYDIS_MNEMONIC_SYSRET ? system_return : system_exit;
    }
    case ZYDIS_MNEMONIC_INT:
      return interrupt;
    case ZYDIS_MNEMONIC_INT1:
      return interrupt_1;
    case ZYDIS_MNEMONIC_INT3:
      return breakpoint;
    case ZYDIS_MNEMONIC_INTO:
      return interrupt_on_overflow;
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

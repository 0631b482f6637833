#include "engine/soft/cpu.hpp"

#include "engine/soft/native_ops.hpp"

namespace berth::engine::soft {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

const Op kIdleOp{};

std::uint64_t get_rflags(const Cpu& cpu) {
  const std::uint64_t packed = cpu.native.flags;
  return (cpu.system_flags & ~rflags::kArithmetic) | (packed >> 8 & 0xd5) | (packed & 1) << 11 | rflags::kOne;
}

void set_rflags(Cpu& cpu, std::uint64_t value) {
  set_arithmetic_flags(cpu, value);
  const std::uint64_t changed = cpu.system_flags ^ value;
  cpu.system_flags = (value & ~rflags::kArithmetic) | rflags::kOne;
  if ((changed & (rflags::kVm | rflags::kAc)) != 0) update_mode(cpu);
}

namespace {

OperatingMode mode_of(const Cpu& cpu) {
  const std::uint16_t attributes = cpu.arch.segment(SegmentName::Cs).attributes;
  if (cpu.is_long() && (attributes & attribute::kLong) != 0) return OperatingMode::Bits64;
  return (attributes & attribute::kBig) != 0 ? OperatingMode::Bits32 : OperatingMode::Bits16;
}

}  // namespace

void update_mode(Cpu& cpu) {
  cpu.mode = mode_of(cpu);
  cpu.ip_mask = cpu.is_64bit() ? ~std::uint64_t{0} : 0xffffffff;
  for (unsigned i = 0; i < 6; ++i) {
    const bool flat = cpu.is_64bit() && i < static_cast<unsigned>(SegmentName::Fs);
    cpu.segment_base[i] = flat ? 0 : cpu.arch.segments[i].base;
  }
  if (cpu.is_v86()) cpu.cpl = 3;
  if (!cpu.is_protected()) cpu.cpl = 0;
  const bool smap = (cpu.arch.cr4 & cr4::kSmap) != 0;
  const bool ac = (cpu.system_flags & rflags::kAc) != 0;
  if (cpu.cpl == 3) {
    cpu.tlb = cpu.code_tlb = &cpu.tlbs[kUserTlb];
  } else {
    cpu.code_tlb = &cpu.tlbs[kKernelTlb];
    cpu.tlb = &cpu.tlbs[smap && ac ? kKernelWithAcTlb : kKernelTlb];
  }
  cpu.barred_units = barred_units(cpu);
  const bool debugging = (cpu.arch.dr7 & dr7::kEnables) != 0;
  // Alignment checks and data breakpoints live in the slow path: the fast one must not know pages filled
  // without them.
  const bool aligns = cpu.cpl == 3 && ac && (cpu.arch.cr0 & cr0::kAm) != 0;
  if ((debugging && !cpu.debugging) || aligns) flush_tlbs(cpu, true);
  cpu.debugging = debugging;
}

void flush_tlbs(Cpu& cpu, bool with_global) {
  for (Tlb& tlb : cpu.tlbs) tlb.flush(with_global);
  cpu.slots.empty(with_global);
  if (with_global) cpu.large_pages.clear();
}

namespace {

// Gives up the instruction at hand; what it has not committed has not happened.
void abandon_instruction(Cpu& cpu) {
  cpu.rip_base() = cpu.rip();
  cpu.current = &kIdleOp;
}

}  // namespace

void raise(Cpu& cpu, Vector vector, std::uint32_t error) {
  abandon_instruction(cpu);
  cpu.io.clear();
  auto number = static_cast<std::uint8_t>(vector);
  if (cpu.delivering && cpu.event.source == Source::Exception) {
    switch (combine(cpu.event.vector, number)) {
      case Combination::Serial:
        break;
      case Combination::DoubleFault:
        number = static_cast<std::uint8_t>(Vector::Df);
        error = 0;
        break;
      case Combination::Shutdown:
        cpu.shut_down = true;
        break;
    }
  }
  const bool has_error = pushes_error_code(static_cast<Vector>(number)) && cpu.is_protected();
  cpu.event = Event{.vector = number, .source = Source::Exception, .has_error = has_error, .error = error};
  cpu.event_return_rip = cpu.rip_base();
  cpu.event_pending = !cpu.shut_down;
  cpu.delivering = false;
  std::longjmp(cpu.escape, 1);
}

void raise_page_fault(Cpu& cpu, std::uint64_t linear, std::uint32_t error) {
  cpu.arch.cr2 = linear;
  raise(cpu, Vector::Pf, error);
}

void leave(Cpu& cpu, const VmExit& exit) {
  abandon_instruction(cpu);
  cpu.io.rewind();
  cpu.exit = exit;
  std::longjmp(cpu.escape, 1);
}

}  // namespace berth::engine::soft

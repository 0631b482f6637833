// RDMSR and WRMSR, XCR0, the time-stamp counter, and the bases of FS and GS.
#include <x86intrin.h>

#include "engine/soft/access.hpp"
#include "engine/soft/decoded.hpp"
#include "x86/cpuid.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

std::uint64_t guest_tsc(const Cpu& cpu) { return __rdtsc() + cpu.arch.tsc_offset; }

// The MSRs that are plain values of the processor's state.
std::uint64_t* plain_msr(Cpu& cpu, std::uint32_t index) {
  switch (index) {
    case msr::kSysenterCs:
      return &cpu.arch.sysenter_cs;
    case msr::kSysenterEsp:
      return &cpu.arch.sysenter_esp;
    case msr::kSysenterEip:
      return &cpu.arch.sysenter_eip;
    case msr::kPat:
      return &cpu.arch.pat;
    case msr::kEfer:
      return &cpu.arch.efer;
    case msr::kStar:
      return &cpu.arch.star;
    case msr::kLstar:
      return &cpu.arch.lstar;
    case msr::kCstar:
      return &cpu.arch.cstar;
    case msr::kSfmask:
      return &cpu.arch.sfmask;
    case msr::kFsBase:
      return &cpu.segment(SegmentName::Fs).base;
    case msr::kGsBase:
      return &cpu.segment(SegmentName::Gs).base;
    case msr::kKernelGsBase:
      return &cpu.arch.kernel_gs_base;
    case msr::kTscAux:
      return &cpu.arch.tsc_aux;
    default:
      return nullptr;
  }
}

bool holds_address(std::uint32_t index) {
  switch (index) {
    case msr::kSysenterEsp:
    case msr::kSysenterEip:
    case msr::kLstar:
    case msr::kCstar:
    case msr::kFsBase:
    case msr::kGsBase:
    case msr::kKernelGsBase:
      return true;
    default:
      return false;
  }
}

bool is_valid_pat(std::uint64_t value) {
  for (unsigned i = 0; i < 8; ++i) {
    const unsigned type = static_cast<unsigned>(value >> (8 * i)) & 0xff;
    if (type > 7 || type == 2 || type == 3) return false;
  }
  return true;
}

void write_efer(Cpu& cpu, std::uint64_t value) {
  constexpr std::uint64_t kKnown = efer::kSce | efer::kLme | efer::kLma | efer::kNxe | efer::kFfxsr;
  const bool paging = (cpu.arch.cr0 & cr0::kPg) != 0;
  if ((value & ~kKnown) != 0 || (paging && ((value ^ cpu.arch.efer) & efer::kLme) != 0))
    raise(cpu, Vector::Gp);
  cpu.arch.efer = (value & ~efer::kLma) | (cpu.arch.efer & efer::kLma);
  flush_tlbs(cpu, true);
}

void write_plain(Cpu& cpu, std::uint32_t index, std::uint64_t* place, std::uint64_t value) {
  const bool bad = (holds_address(index) && !is_canonical(value)) ||
                   (index == msr::kPat && !is_valid_pat(value)) ||
                   ((index == msr::kTscAux || index == msr::kSfmask) && value >> 32 != 0);
  if (bad) raise(cpu, Vector::Gp);
  if (index == msr::kEfer) return write_efer(cpu, value);
  *place = value;
}

std::uint64_t edx_eax(const Cpu& cpu) {
  return std::uint64_t{get<std::uint32_t>(cpu, offset_of(Gpr::Rdx))} << 32 |
         get<std::uint32_t>(cpu, offset_of(Gpr::Rax));
}
void set_edx_eax(Cpu& cpu, std::uint64_t value) {
  set(cpu, offset_of(Gpr::Rax), static_cast<std::uint32_t>(value));
  set(cpu, offset_of(Gpr::Rdx), static_cast<std::uint32_t>(value >> 32));
}

const Op* read_msr(Cpu& cpu, const Op* op) {
  const auto index = get<std::uint32_t>(cpu, offset_of(Gpr::Rcx));
  std::uint64_t value = 0;
  if (const std::uint64_t* place = plain_msr(cpu, index)) {
    value = *place;
  } else if (index == msr::kTsc) {
    value = guest_tsc(cpu);
  } else if (!cpu.machine->read_msr(index, value)) {
    raise(cpu, Vector::Gp);
  }
  set_edx_eax(cpu, value);
  return op + 1;
}

const Op* write_msr(Cpu& cpu, const Op* op) {
  const auto index = get<std::uint32_t>(cpu, offset_of(Gpr::Rcx));
  const std::uint64_t value = edx_eax(cpu);
  if (std::uint64_t* place = plain_msr(cpu, index)) {
    write_plain(cpu, index, place, value);
  } else if (index == msr::kTsc) {
    cpu.arch.tsc_offset = value - __rdtsc();
  } else if (!cpu.machine->write_msr(index, value)) {
    raise(cpu, Vector::Gp);
  }
  // The machine may have something to deliver now: an end of interrupt, a self-sent one.
  cpu.attention.fetch_or(kAttentionInterrupt);
  update_mode(cpu);
  return end_block(cpu, op);
}

const Op* read_xcr(Cpu& cpu, const Op* op) {
  if ((cpu.arch.cr4 & cr4::kOsxsave) == 0) raise(cpu, Vector::Ud);
  const auto index = get<std::uint32_t>(cpu, offset_of(Gpr::Rcx));
  if (index > 1) raise(cpu, Vector::Gp);
  set_edx_eax(cpu, cpu.arch.xcr0);  // XCR 1 is XINUSE: all that is enabled counts as used
  return op + 1;
}

const Op* write_xcr(Cpu& cpu, const Op* op) {
  if ((cpu.arch.cr4 & cr4::kOsxsave) == 0) raise(cpu, Vector::Ud);
  const std::uint64_t value = edx_eax(cpu);
  const bool bad = get<std::uint32_t>(cpu, offset_of(Gpr::Rcx)) != 0 || (value & 1) == 0 ||
                   (value & ~supported_xcr0()) != 0 || (value & 6) == 4;
  if (bad) raise(cpu, Vector::Gp);
  cpu.arch.xcr0 = value;
  update_mode(cpu);
  return end_block(cpu, op);
}

void check_tsc(Cpu& cpu) {
  if (cpu.cpl > 0 && (cpu.arch.cr4 & cr4::kTsd) != 0) raise(cpu, Vector::Gp);
}
const Op* read_tsc(Cpu& cpu, const Op* op) {
  check_tsc(cpu);
  set_edx_eax(cpu, guest_tsc(cpu));
  return op + 1;
}
const Op* read_tsc_and_aux(Cpu& cpu, const Op* op) {
  check_tsc(cpu);
  set_edx_eax(cpu, guest_tsc(cpu));
  set(cpu, offset_of(Gpr::Rcx), static_cast<std::uint32_t>(cpu.arch.tsc_aux));
  return op + 1;
}
const Op* read_processor_id(Cpu& cpu, const Op* op) {
  set(cpu, op->dst, cpu.arch.tsc_aux);
  return op + 1;
}

void check_base_access(Cpu& cpu) {
  if (!cpu.is_64bit() || (cpu.arch.cr4 & cr4::kFsgsbase) == 0) raise(cpu, Vector::Ud);
}
template <SegmentName Name>
const Op* read_base(Cpu& cpu, const Op* op) {
  check_base_access(cpu);
  set_bytes(cpu, op->dst, op->operand_bytes, cpu.segment(Name).base);
  return op + 1;
}
template <SegmentName Name>
const Op* write_base(Cpu& cpu, const Op* op) {
  check_base_access(cpu);
  const std::uint64_t value = get_bytes(cpu, op->dst, op->operand_bytes);
  if (!is_canonical(value)) raise(cpu, Vector::Gp);
  cpu.segment(Name).base = value;
  update_mode(cpu);
  return op + 1;
}

const Op* swap_gs(Cpu& cpu, const Op* op) {
  if (!cpu.is_64bit()) raise(cpu, Vector::Ud);
  std::swap(cpu.segment(SegmentName::Gs).base, cpu.arch.kernel_gs_base);
  cpu.segment_base[static_cast<unsigned>(SegmentName::Gs)] = cpu.segment(SegmentName::Gs).base;
  return op + 1;
}

}  // namespace

Handler select_msr(const Decoded& decoded, Op& op) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_RDMSR:
      return read_msr;
    case ZYDIS_MNEMONIC_WRMSR:
      return write_msr;
    case ZYDIS_MNEMONIC_XGETBV:
      return read_xcr;
    case ZYDIS_MNEMONIC_XSETBV:
      return write_xcr;
    case ZYDIS_MNEMONIC_RDTSC:
      return read_tsc;
    case ZYDIS_MNEMONIC_RDTSCP:
      return read_tsc_and_aux;
    case ZYDIS_MNEMONIC_RDPID:
      return read_processor_id;
    case ZYDIS_MNEMONIC_SWAPGS:
      return swap_gs;
    default:
      break;
  }
  op.operand_bytes = static_cast<std::uint8_t>(decoded.instruction.operand_width / 8);
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_RDFSBASE:
      return read_base<SegmentName::Fs>;
    case ZYDIS_MNEMONIC_RDGSBASE:
      return read_base<SegmentName::Gs>;
    case ZYDIS_MNEMONIC_WRFSBASE:
      return write_base<SegmentName::Fs>;
    case ZYDIS_MNEMONIC_WRGSBASE:
      return write_base<SegmentName::Gs>;
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

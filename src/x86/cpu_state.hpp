// The architectural state of one x86-64 processor, as Intel's SDM volume 3 and AMD's APM volume 2 name it.
// Engines load and store it whole; between two runs it is the truth.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace berth::x86 {

// In the order of their encoding.
enum class Gpr : std::uint8_t {
  Rax,
  Rcx,
  Rdx,
  Rbx,
  Rsp,
  Rbp,
  Rsi,
  Rdi,
  R8,
  R9,
  R10,
  R11,
  R12,
  R13,
  R14,
  R15
};
enum class SegmentName : std::uint8_t { Es, Cs, Ss, Ds, Fs, Gs };

// A segment register with its hidden part. `attributes` packs the descriptor's bits as AMD's VMCB does: type
// in bits 0-3, S 4, DPL 5-6, P 7, AVL 8, L 9, D/B 10, G 11 (APM vol. 2, 15.5.1). `limit` is in bytes,
// expanded by G.
struct Segment {
  std::uint64_t base = 0;
  std::uint32_t limit = 0xffff;
  std::uint16_t selector = 0;
  std::uint16_t attributes = 0x93;
};

struct TableRegister {  // GDTR, IDTR
  std::uint64_t base = 0;
  std::uint16_t limit = 0xffff;
};

// Whether the processor runs, and if not, what it waits for.
enum class Activity : std::uint8_t { Running, Halted, WaitForSipi };

// Standard (not compacted) XSAVE layout: x87 and SSE in the first 512 bytes, the header, then AVX's upper
// halves at 576.
inline constexpr std::size_t kXsaveBytes = 832;

struct CpuState {
  std::array<std::uint64_t, 16> gpr{};
  std::uint64_t rip = 0;
  std::uint64_t rflags = 2;

  std::array<Segment, 6> segments{};  // by SegmentName
  Segment ldtr{.attributes = 0x82};
  Segment tr{.attributes = 0x8b};
  TableRegister gdtr;
  TableRegister idtr;

  std::uint64_t cr0 = 0x60000010;
  std::uint64_t cr2 = 0;
  std::uint64_t cr3 = 0;
  std::uint64_t cr4 = 0;
  std::uint64_t cr8 = 0;
  std::uint64_t xcr0 = 1;
  std::array<std::uint64_t, 4> dr{};
  std::uint64_t dr6 = 0xffff0ff0;
  std::uint64_t dr7 = 0x400;

  std::uint64_t efer = 0;
  std::uint64_t star = 0;
  std::uint64_t lstar = 0;
  std::uint64_t cstar = 0;
  std::uint64_t sfmask = 0;
  std::uint64_t kernel_gs_base = 0;
  std::uint64_t sysenter_cs = 0;
  std::uint64_t sysenter_esp = 0;
  std::uint64_t sysenter_eip = 0;
  std::uint64_t pat = 0x0007040600070406;
  std::uint64_t tsc_aux = 0;
  std::uint64_t tsc_offset = 0;  // guest TSC = host TSC + tsc_offset, modulo 2^64

  Activity activity = Activity::Running;
  bool interrupt_shadow = false;  // the instruction before was STI, MOV SS or POP SS
  bool nmi_blocked = false;

  alignas(64) std::array<std::byte, kXsaveBytes> xsave{};

  std::uint64_t& reg(Gpr name) { return gpr[static_cast<std::size_t>(name)]; }
  Segment& segment(SegmentName name) { return segments[static_cast<std::size_t>(name)]; }
  const Segment& segment(SegmentName name) const { return segments[static_cast<std::size_t>(name)]; }
};

// As after RESET# (SDM vol. 3, table 9-1): real mode at 0xfffffff0.
CpuState power_on_state();

}  // namespace berth::x86

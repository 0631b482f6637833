// The interpreter's processor: the hot part of the state laid out for the handlers, the rest as x86::CpuState
// has it. Owned by the engine and used on the vCPU's thread; only `attention` is touched by others.
#pragma once

#include <array>
#include <atomic>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "engine/soft/io_log.hpp"
#include "engine/soft/op.hpp"
#include "engine/soft/page_slots.hpp"
#include "engine/soft/tlb.hpp"
#include "engine/vcpu.hpp"
#include "guest/memory.hpp"
#include "x86/bits.hpp"
#include "x86/cpu_state.hpp"
#include "x86/exception.hpp"
#include "x86/instruction_table.hpp"

namespace berth::engine::soft {

class BlockCache;
class FirstTouch;
class Mailbox;
class Decoder;
class Translator;

// What generated code sees; its layout is known to native_code.cpp.
struct NativeContext {
  std::array<std::uint64_t, 18> gpr{};  // the sixteen, kZeroRegister, kRipRegister
  // OF in bit 0; SF ZF AF PF CF in bits 15 14 12 10 8: what LAHF and SETO leave in AX.
  std::uint64_t flags = 0;
  alignas(64) std::array<std::array<std::byte, 32>, 16> vector{};
  alignas(64) std::array<std::byte, 512> fx{};  // FXSAVE's image: x87 is live in it, XMM is not
};

enum class OperatingMode : std::uint8_t { Bits16, Bits32, Bits64 };

// Reasons for leaving the chain of blocks (CodeContext::attention).
inline constexpr std::uint32_t kAttentionKick = 1, kAttentionInterrupt = 2, kAttentionMemory = 4,
                               kAttentionSingle = 8;

// CodeContext::tlbs: which pages may be touched depends on these.
inline constexpr unsigned kUserTlb = 0, kKernelTlb = 1, kKernelWithAcTlb = 2;

inline constexpr unsigned kSharedReaches = 16;

// What translated code works on beside: it finds all of this at fixed distances from RSP (decision 0011).
struct CodeContext {
  NativeContext native;
  std::atomic<std::uint32_t> attention{0};
  std::uint32_t vectors_loaded = 0;             // the guest's vector registers are in the host's
  std::array<std::uint64_t, 8> segment_base{};  // by Op::segment
  std::uint64_t page = 0;                       // linear, of the code being executed
  std::uint64_t host_stack = 0;                 // RSP of the C++ that entered
  std::uint64_t resume = 0;                     // where code that called C++ goes on
  std::uint64_t scratch = 0, jump_code = 0, jump_page = 0;
  std::array<std::uint64_t, kSharedReaches> addends{};  // of pages that several accesses of a block share
  std::array<std::uint64_t, 2> borrowed{};              // registers that a stub works with
  PageSlots slots;
  std::array<Tlb, 3> tlbs;
};

struct Cpu : CodeContext {
  const Op* current = nullptr;    // being executed; kIdleOp between instructions
  const Op* next_op = nullptr;    // what the interpreter goes on with after translated code
  const Op* behind = nullptr;     // the op that translated code executed last
  std::uint64_t revocations = 0;  // of the right to write to pages by the fast path
  std::uint64_t ip_mask = ~std::uint64_t{0};
  Tlb* tlb = nullptr;  // of data accesses at this privilege
  Tlb* code_tlb = nullptr;
  LargePages large_pages;          // of all TLBs
  std::uint64_t system_flags = 2;  // RFLAGS without the arithmetic ones
  std::uint8_t cpl = 0;
  std::uint8_t barred_units = 0;  // x86::Unit whose instructions fault now, as a bit set
  OperatingMode mode = OperatingMode::Bits16;
  bool sse_unmasked = false;  // the guest wants #XM for some floating-point exception

  BlockCache* blocks = nullptr;
  Mailbox* mailbox = nullptr;
  FirstTouch* first_touch = nullptr;
  Decoder* decoder = nullptr;
  Translator* translator = nullptr;
  const guest::GuestMemory* memory = nullptr;
  Machine* machine = nullptr;
  std::uint32_t guest_mxcsr = 0x1f80;

  // Events.
  std::jmp_buf escape;
  std::optional<VmExit> exit;
  x86::Event event;
  std::uint64_t event_return_rip = 0;
  bool event_pending = false, delivering = false, shut_down = false;
  bool shadow = false;              // the next instruction is not interrupted
  bool debug_shadow = false;        // and no trap comes before it: behind MOV SS and POP SS
  std::uint64_t pending_debug = 0;  // DR6 bits of a #DB to come after this instruction
  bool debugging = false;  // DR7 enables something: one instruction at a time, all accesses looked at
  IoLog io;

  x86::CpuState arch;  // segments, control registers, MSRs; the rest of it is valid between two runs

  std::uint64_t& rip_base() { return native.gpr[17]; }
  std::uint64_t rip() { return (native.gpr[17] + current->offset) & ip_mask; }
  std::uint64_t next_rip() { return (native.gpr[17] + current->offset + current->length) & ip_mask; }
  std::uint64_t& reg(x86::Gpr name) { return native.gpr[static_cast<std::size_t>(name)]; }
  x86::Segment& segment(x86::SegmentName name) { return arch.segment(name); }
  bool is_long() const { return (arch.efer & x86::efer::kLma) != 0; }
  // Which of `tlbs` data accesses go by.
  unsigned tlb_index() const { return static_cast<unsigned>(tlb - tlbs.data()); }
  bool is_64bit() const { return mode == OperatingMode::Bits64; }
  bool is_protected() const { return (arch.cr0 & x86::cr0::kPe) != 0; }
  bool is_v86() const { return (system_flags & x86::rflags::kVm) != 0; }
  bool is_real_or_v86() const { return !is_protected() || is_v86(); }
  unsigned iopl() const { return static_cast<unsigned>(system_flags >> 12) & 3; }
};

extern const Op kIdleOp;

template <class T>
inline T get(const Cpu& cpu, std::uint8_t offset) {
  T value;
  std::memcpy(&value, reinterpret_cast<const std::byte*>(cpu.native.gpr.data()) + offset, sizeof value);
  return value;
}

// As 64-bit mode does: a 32-bit result clears the upper half.
template <class T>
inline void set(Cpu& cpu, std::uint8_t offset, T value) {
  std::byte* place = reinterpret_cast<std::byte*>(cpu.native.gpr.data()) + offset;
  if constexpr (sizeof(T) == 4) {
    const std::uint64_t wide = value;
    std::memcpy(place, &wide, sizeof wide);
  } else {
    std::memcpy(place, &value, sizeof value);
  }
}

constexpr std::uint8_t offset_of(x86::Gpr name) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(name) * 8);
}

inline std::uint64_t get_bytes(const Cpu& cpu, std::uint8_t offset, unsigned bytes) {
  switch (bytes) {
    case 1:
      return get<std::uint8_t>(cpu, offset);
    case 2:
      return get<std::uint16_t>(cpu, offset);
    case 4:
      return get<std::uint32_t>(cpu, offset);
    default:
      return get<std::uint64_t>(cpu, offset);
  }
}

inline void set_bytes(Cpu& cpu, std::uint8_t offset, unsigned bytes, std::uint64_t value) {
  switch (bytes) {
    case 1:
      return set(cpu, offset, static_cast<std::uint8_t>(value));
    case 2:
      return set(cpu, offset, static_cast<std::uint16_t>(value));
    case 4:
      return set(cpu, offset, static_cast<std::uint32_t>(value));
    default:
      return set(cpu, offset, value);
  }
}

std::uint64_t get_rflags(const Cpu& cpu);
// All bits; recomputes what depends on them.
void set_rflags(Cpu& cpu, std::uint64_t value);
inline void set_arithmetic_flags(Cpu& cpu, std::uint64_t rflags) {
  cpu.native.flags = (rflags & 0xd5) << 8 | (rflags >> 11 & 1);
}

// Recomputes what follows from CS, SS, CR0, CR4, EFER, XCR0 and RFLAGS; to be called after any of them
// changed.
void update_mode(Cpu& cpu);
void flush_tlbs(Cpu& cpu, bool with_global);

// Leaves the instruction at hand, undone, with an exception. Nothing on the stack between the run loop and
// the caller may need a destructor: this is a jump.
[[noreturn]] void raise(Cpu& cpu, x86::Vector vector, std::uint32_t error = 0);
[[noreturn]] void raise_page_fault(Cpu& cpu, std::uint64_t linear, std::uint32_t error);
// Leaves the engine in the midst of the instruction at hand, which will be executed again.
[[noreturn]] void leave(Cpu& cpu, const VmExit& exit);

// The instruction ends the block: execution goes on at the following one, after looking at events.
inline const Op* end_block(Cpu& cpu, const Op* op) {
  cpu.rip_base() = (cpu.rip_base() + op->offset + op->length) & cpu.ip_mask;
  return nullptr;
}

}  // namespace berth::engine::soft

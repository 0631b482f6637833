#include "engine/soft/native_ops.hpp"

#include <xmmintrin.h>

#include "engine/soft/access.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

constexpr std::uint32_t kMxcsrFlags = 0x3f, kMxcsrMasks = 0x1f80;
constexpr std::uint32_t kBeforeComputing = 7;  // invalid, denormal, by zero
constexpr std::size_t kFxOpcode = 6, kFxRip = 8, kFxPointer = 16;

constexpr std::uint8_t bit(Unit unit) { return static_cast<std::uint8_t>(unit); }

// Executes with #XM possible: as masked on a copy, and only what raises nothing unmasked counts. What is seen
// before computing and not masked keeps the processor from computing, and so from what comes of that (SDM
// vol. 1, 11.5.3).
void run_unmasked(Cpu& cpu, const NativeCode& code, void* memory) {
  const NativeContext before = cpu.native;
  const std::uint32_t old = get_mxcsr(cpu);
  _mm_setcsr((old & ~kMxcsrFlags) | kMxcsrMasks);
  code.run(&cpu.native, memory);
  std::uint32_t raised = _mm_getcsr() & kMxcsrFlags;
  if ((raised & ~(old >> 7) & kBeforeComputing) != 0) raised &= kBeforeComputing;
  set_mxcsr(cpu, old | raised);
  if ((raised & ~(old >> 7)) == 0) return;
  cpu.native = before;
  raise(cpu, (cpu.arch.cr4 & cr4::kOsxmmexcpt) != 0 ? Vector::Xm : Vector::Ud);
}

void note_x87(Cpu& cpu, const NativeCode& code, std::uint64_t pointer) {
  const std::uint64_t rip = cpu.rip();
  std::memcpy(cpu.native.fx.data() + kFxOpcode, &code.opcode, sizeof code.opcode);
  std::memcpy(cpu.native.fx.data() + kFxRip, &rip, sizeof rip);
  if (code.memory_bytes != 0) std::memcpy(cpu.native.fx.data() + kFxPointer, &pointer, sizeof pointer);
}

inline void execute(Cpu& cpu, const NativeCode& code, void* memory) {
  if (cpu.sse_unmasked && (code.unit == Unit::Sse || code.unit == Unit::Avx)) [[unlikely]] {
    return run_unmasked(cpu, code, memory);
  }
  code.run(&cpu.native, memory);
}

const Op* on_integers(Cpu& cpu, const Op* op) {
  op->native->run(&cpu.native, nullptr);
  return op + 1;
}

const Op* on_registers(Cpu& cpu, const Op* op) {
  const NativeCode& code = *op->native;
  check_unit(cpu, code.unit, code.waits);
  execute(cpu, code, nullptr);
  if (code.is_noted) note_x87(cpu, code, 0);
  return op + 1;
}

std::byte* direct(Cpu& cpu, const NativeCode& code, std::uint64_t linear) {
  const Tlb::Entry& entry = cpu.tlb->at(linear);
  const std::uint64_t last_page = (linear + code.memory_bytes - 1) & kPageMask;
  if (code.writes ? entry.write != last_page : entry.read != last_page) return nullptr;
  if (code.reads && entry.read != last_page) return nullptr;
  return reinterpret_cast<std::byte*>(linear + entry.addend);
}

void load_buffer(Cpu& cpu, std::uint64_t linear, std::byte* buffer, unsigned bytes) {
  load_slow(cpu, linear, buffer, bytes, Intent::Normal);
}

const Op* on_memory(Cpu& cpu, const Op* op) {
  const NativeCode& code = *op->native;
  check_unit(cpu, code.unit, code.waits);
  const std::uint64_t linear = operand_address(cpu, op, code.memory_bytes, code.writes);
  if ((linear & (code.alignment - 1u)) != 0) raise(cpu, Vector::Gp);
  std::byte* host = direct(cpu, code, linear);
  if (host == nullptr) {
    // The slow path checks and fills; most often the fast one works then.
    if (code.writes) check_store(cpu, linear, code.memory_bytes);
    alignas(64) std::array<std::byte, 64> buffer{};
    // The x87 stores nothing where it has an exception that is not masked.
    if (code.reads || !code.writes || code.unit == Unit::X87)
      load_buffer(cpu, linear, buffer.data(), code.memory_bytes);
    host = direct(cpu, code, linear);
    if (host == nullptr && op->has(Op::kLock)) {
      if (const LockedPlace place = lock_in_ram(cpu, linear, code.memory_bytes); place.host != nullptr) {
        execute(cpu, code, place.host);
        tell_written(cpu, place.physical, code.memory_bytes);
        return op + 1;
      }
    }
    if (host == nullptr) {
      const NativeContext before = cpu.native;
      execute(cpu, code, buffer.data());
      if (code.writes) {
        const NativeContext after = cpu.native;
        cpu.native = before;  // a device's access may leave and come back
        store_slow(cpu, linear, buffer.data(), code.memory_bytes, Intent::Normal);
        cpu.native = after;
      }
      if (code.is_noted) note_x87(cpu, code, linear);
      return op + 1;
    }
  }
  execute(cpu, code, host);
  if (code.is_noted) note_x87(cpu, code, linear);
  return op + 1;
}

}  // namespace

std::uint32_t get_mxcsr(const Cpu& cpu) {
  return (cpu.guest_mxcsr & ~kMxcsrFlags) | (_mm_getcsr() & kMxcsrFlags);
}

void set_mxcsr(Cpu& cpu, std::uint32_t value) {
  cpu.guest_mxcsr = value;
  cpu.sse_unmasked = (value & kMxcsrMasks) != kMxcsrMasks;
  _mm_setcsr(value | kMxcsrMasks);
}

std::uint8_t barred_units(const Cpu& cpu) {
  const bool ts = (cpu.arch.cr0 & cr0::kTs) != 0;
  const bool em = (cpu.arch.cr0 & cr0::kEm) != 0;
  unsigned barred = 0;
  if (ts || em) barred |= bit(Unit::X87) | bit(Unit::Mmx);
  if (ts || em || (cpu.arch.cr4 & cr4::kOsfxsr) == 0) barred |= bit(Unit::Sse);
  const bool has_avx =
      (cpu.arch.cr4 & cr4::kOsxsave) != 0 && (cpu.arch.xcr0 & 6) == 6 && !cpu.is_real_or_v86();
  if (ts || !has_avx) barred |= bit(Unit::Avx);
  if (ts && (cpu.arch.cr0 & cr0::kMp) != 0) barred |= bit(Unit::Wait);
  return static_cast<std::uint8_t>(barred);
}

void check_unit(Cpu& cpu, Unit unit, bool waits) {
  if ((cpu.barred_units & bit(unit)) != 0) {
    const bool em = (cpu.arch.cr0 & cr0::kEm) != 0;
    bool undefined = (unit == Unit::Mmx || unit == Unit::Sse) && em;
    undefined |= unit == Unit::Sse && (cpu.arch.cr4 & cr4::kOsfxsr) == 0;
    if (unit == Unit::Avx) {
      undefined = (cpu.arch.cr4 & cr4::kOsxsave) == 0 || (cpu.arch.xcr0 & 6) != 6 || cpu.is_real_or_v86();
    }
    raise(cpu, undefined ? Vector::Ud : Vector::Nm);
  }
  constexpr unsigned kErrorSummary = 0x80;
  const bool pending = waits && (static_cast<unsigned>(cpu.native.fx[2]) & kErrorSummary) != 0;
  if (pending) raise(cpu, Vector::Mf);
}

Handler native_handler(const NativeCode& code) {
  if (code.memory_bytes != 0) return on_memory;
  return code.unit == Unit::Integer ? on_integers : on_registers;
}

}  // namespace berth::engine::soft

// Loads and stores of guest memory: the fast path inline, all else in access.cpp. Any of them may raise() or
// leave().
#pragma once

#include <cstdint>
#include <cstring>

#include "engine/soft/cpu.hpp"

namespace berth::engine::soft {

enum class Intent : std::uint8_t {
  Normal,
  System  // the processor reads a table of the kernel's, at whatever privilege
};

void load_slow(Cpu& cpu, std::uint64_t linear, void* out, unsigned bytes, Intent intent);
void store_slow(Cpu& cpu, std::uint64_t linear, const void* data, unsigned bytes, Intent intent);
// Raises what a store would raise, and stores nothing.
void check_store(Cpu& cpu, std::uint64_t linear, unsigned bytes);

// Where an instruction may change RAM in place that the fast path does not have: pages with code. `host` is
// null for a device, and where the place lies in two pages. tell_written() is to follow.
struct LockedPlace {
  std::byte* host = nullptr;
  std::uint64_t physical = 0;
};
LockedPlace lock_in_ram(Cpu& cpu, std::uint64_t linear, unsigned bytes);
// Has stored to RAM, not by the fast path: other processors may have cached that code.
void tell_written(Cpu& cpu, std::uint64_t physical, unsigned bytes);

// The host's address for an access; null where the slow path has to make it.
template <unsigned Bytes>
inline std::byte* readable(Cpu& cpu, std::uint64_t linear) {
  const Tlb::Entry& entry = cpu.tlb->at(linear);
  if (entry.read != ((linear + Bytes - 1) & kPageMask)) [[unlikely]]
    return nullptr;
  return reinterpret_cast<std::byte*>(linear + entry.addend);
}
template <unsigned Bytes>
inline std::byte* writable(Cpu& cpu, std::uint64_t linear) {
  const Tlb::Entry& entry = cpu.tlb->at(linear);
  if (entry.write != ((linear + Bytes - 1) & kPageMask)) [[unlikely]]
    return nullptr;
  return reinterpret_cast<std::byte*>(linear + entry.addend);
}

template <class T>
inline T load(Cpu& cpu, std::uint64_t linear) {
  T value;
  if (const std::byte* host = readable<sizeof(T)>(cpu, linear)) [[likely]] {
    std::memcpy(&value, host, sizeof value);
  } else {
    load_slow(cpu, linear, &value, sizeof value, Intent::Normal);
  }
  return value;
}

template <class T>
inline void store(Cpu& cpu, std::uint64_t linear, T value) {
  if (std::byte* host = writable<sizeof(T)>(cpu, linear)) [[likely]] {
    std::memcpy(host, &value, sizeof value);
  } else {
    store_slow(cpu, linear, &value, sizeof value, Intent::Normal);
  }
}

// Of 1, 2, 4 or 8 bytes, zero-extended.
std::uint64_t load_bytes(Cpu& cpu, std::uint64_t linear, unsigned bytes);
void store_bytes(Cpu& cpu, std::uint64_t linear, unsigned bytes, std::uint64_t value);

template <class T>
T load_system(Cpu& cpu, std::uint64_t linear) {
  T value;
  load_slow(cpu, linear, &value, sizeof value, Intent::System);
  return value;
}
template <class T>
void store_system(Cpu& cpu, std::uint64_t linear, T value) {
  store_slow(cpu, linear, &value, sizeof value, Intent::System);
}

// The linear address of an offset in a segment, checked as a legacy mode checks it (SDM vol. 3, 5.3-5.5) and
// as 64-bit mode does.
std::uint64_t segment_address(Cpu& cpu, unsigned segment, std::uint64_t offset, unsigned bytes, bool write);
std::uint64_t slow_address(Cpu& cpu, const Op* op, unsigned bytes, bool write);

// The offset that the memory operand of `op` names, before segmentation and not yet cut to the address size.
inline std::uint64_t operand_offset(const Cpu& cpu, const Op* op) {
  return get<std::uint64_t>(cpu, op->base) + (get<std::uint64_t>(cpu, op->index) << op->scale) +
         static_cast<std::uint64_t>(std::int64_t{op->displacement});
}

inline std::uint64_t operand_address(Cpu& cpu, const Op* op, unsigned bytes, bool write) {
  if (op->has(Op::kSlowAddress)) [[unlikely]]
    return slow_address(cpu, op, bytes, write);
  return operand_offset(cpu, op) + cpu.segment_base[op->segment];
}

// A device's registers, below the segment and page checks.
std::uint64_t read_port(Cpu& cpu, std::uint16_t port, unsigned bytes);
void write_port(Cpu& cpu, std::uint16_t port, unsigned bytes, std::uint32_t value);

// Makes the translation of a page known to the TLB, raising #PF where there is none. The physical address of
// `linear`.
std::uint64_t translate(Cpu& cpu, std::uint64_t linear, bool write, bool execute, Intent intent);

}  // namespace berth::engine::soft

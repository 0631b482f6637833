// Segment and gate descriptors as they lie in memory (SDM vol. 3, 3.4.5 and 5.8.3).
#pragma once

#include <cstdint>

#include "x86/bits.hpp"
#include "x86/cpu_state.hpp"

namespace berth::x86 {

// Types of system descriptors (S = 0).
namespace system_type {
inline constexpr unsigned kTss16 = 1, kLdt = 2, kTss16Busy = 3, kCallGate16 = 4, kTaskGate = 5,
                          kInterruptGate16 = 6, kTrapGate16 = 7, kTss32 = 9, kTss32Busy = 11,
                          kCallGate32 = 12, kInterruptGate32 = 14, kTrapGate32 = 15;
}  // namespace system_type

struct Descriptor {
  std::uint64_t raw = 0;

  constexpr std::uint16_t attributes() const {
    return static_cast<std::uint16_t>(((raw >> 40) & 0xff) | ((raw >> 44) & 0xf00));
  }
  constexpr unsigned type() const { return static_cast<unsigned>(raw >> 40) & 0xf; }
  constexpr bool is_code_or_data() const { return (raw >> 44 & 1) != 0; }
  constexpr bool is_code() const { return is_code_or_data() && (type() & attribute::kCode) != 0; }
  constexpr bool is_conforming() const { return (type() & attribute::kConforming) != 0; }
  constexpr bool is_writable_data() const {
    return is_code_or_data() && (type() & attribute::kCode) == 0 && (type() & attribute::kWritable) != 0;
  }
  constexpr bool is_readable() const { return !is_code() || (type() & attribute::kReadable) != 0; }
  constexpr unsigned dpl() const { return static_cast<unsigned>(raw >> 45) & 3; }
  constexpr bool is_present() const { return (raw >> 47 & 1) != 0; }
  constexpr bool is_long() const { return (raw >> 53 & 1) != 0; }
  constexpr bool is_big() const { return (raw >> 54 & 1) != 0; }
  constexpr std::uint32_t base() const {
    return static_cast<std::uint32_t>((raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000));
  }
  constexpr std::uint32_t limit() const {  // in bytes
    const auto pages = static_cast<std::uint32_t>((raw & 0xffff) | (raw >> 32 & 0xf0000));
    return (raw >> 55 & 1) != 0 ? pages << 12 | 0xfff : pages;
  }
  // Of gates.
  constexpr std::uint16_t gate_selector() const { return static_cast<std::uint16_t>(raw >> 16); }
  constexpr std::uint32_t gate_offset() const {
    return static_cast<std::uint32_t>((raw & 0xffff) | (raw >> 32 & 0xffff0000));
  }
  constexpr unsigned gate_count() const { return static_cast<unsigned>(raw >> 32) & 0x1f; }
  constexpr unsigned gate_ist() const { return static_cast<unsigned>(raw >> 32) & 7; }

  constexpr Segment segment(std::uint16_t selector) const {
    return Segment{.base = base(), .limit = limit(), .selector = selector, .attributes = attributes()};
  }
};

}  // namespace berth::x86

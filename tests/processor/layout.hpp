// What one case looks like, in the guest and on the host alike. Both have the same pages at the same linear
// addresses, and nothing else within the zone, so that an access that goes wrong faults on both.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "x86/cpu_state.hpp"

namespace berth::judge {

inline constexpr std::uint64_t kZone = 0x10000000, kZoneBytes = 0x1000000;
inline constexpr std::uint64_t kPage = 4096;
inline constexpr std::uint64_t kCode = kZone + 0x400000;  // one page, not to be written
inline constexpr std::uint64_t kEntry = kCode + 0x400;
inline constexpr std::uint64_t kData =
    kZone + 0x800000;  // two pages, and behind them one that is not to be written
inline constexpr std::uint64_t kWritableBytes = 2 * kPage, kDataBytes = 3 * kPage;
inline constexpr std::uint16_t kUserCode = 0x33, kUserStack = 0x2b;  // as Linux has them

constexpr bool is_in_zone(std::uint64_t address) { return address - kZone < kZoneBytes; }

// What ring 3 has of a processor; `xsave` as in x86::CpuState.
struct Registers {
  std::array<std::uint64_t, 16> gpr{};
  std::uint64_t rip = 0, rflags = 2;
  alignas(64) std::array<std::byte, x86::kXsaveBytes> xsave{};
};

struct Step {
  std::uint64_t rip = 0;
  std::uint64_t flags = 0;    // the arithmetic flags that the manuals define before it
  bool faults_alike = false;  // whether all makers' processors fault there alike
};

struct Case {
  Registers start;
  std::vector<std::byte> code;  // at kEntry, with INT3 behind it
  std::vector<Step> steps;      // the last one is the end
  std::array<std::byte, kDataBytes> data{};
};

// The exception that ended it.
struct Outcome {
  Registers end;
  unsigned vector = 0;
  std::uint64_t error = 0, cr2 = 0;
  std::array<std::byte, kDataBytes> data{};
};

}  // namespace berth::judge

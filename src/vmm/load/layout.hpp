// Where the loaders put things in the first megabyte, and how memory is described to a kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "guest/memory.hpp"

namespace berth::vmm {

inline constexpr std::uint64_t kGdtAt = 0x500;
inline constexpr std::uint64_t kStartInfoAt = 0x6000;   // of PVH and multiboot, 4 KiB
inline constexpr std::uint64_t kBootParamsAt = 0x7000;  // Linux's zero page
inline constexpr std::uint64_t kPageTablesAt = 0x9000;  // 6 pages
inline constexpr std::uint64_t kBootStackAt = 0x8ff0;
inline constexpr std::uint64_t kCommandLineAt = 0x20000;
inline constexpr std::uint64_t kMaxCommandLine = 0x10000;  // with its terminating zero
inline constexpr std::uint64_t kLowRamEnd = 0x9fc00;
inline constexpr std::uint64_t kHighRamStart = 0x100000;

enum class RangeType : std::uint32_t { Ram = 1, Reserved = 2 };  // as E820 numbers them
struct MemoryRange {
  std::uint64_t start = 0, bytes = 0;
  RangeType type = RangeType::Ram;
};
// Ascending; the BIOS area with the ACPI tables and the ECAM window are reserved.
std::vector<MemoryRange> memory_map(const guest::GuestMemory& memory);

}  // namespace berth::vmm

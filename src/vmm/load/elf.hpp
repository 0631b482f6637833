// ELF files that are loaded by their physical addresses, 32 and 64 bits wide (System V gABI, chapters 4, 5).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "vmm/load/kernel.hpp"

namespace berth::vmm {

struct ElfSegment {
  std::uint64_t address = 0;        // physical
  std::span<const std::byte> data;  // within the file
  std::uint64_t memory_bytes = 0;   // at least data.size()
};
struct ElfImage {
  bool is_64bit = false;
  std::uint64_t entry = 0;                        // virtual
  std::vector<ElfSegment> segments;               // to be loaded
  std::vector<std::span<const std::byte>> notes;  // PT_NOTE contents
};

// InvalidArgument where the file is not a little-endian x86 executable or points outside itself; at most 64
// program headers are accepted.
Result<ElfImage> parse_elf(std::span<const std::byte> file);
// Loads all segments; gives the end of the highest.
Result<std::uint64_t> load_elf(const guest::GuestMemory& memory, const ElfImage& elf);
// The first four bytes (or eight, cut) of the note of that owner and type.
std::optional<std::uint64_t> find_note(const ElfImage& elf, std::string_view owner, std::uint32_t type);

}  // namespace berth::vmm

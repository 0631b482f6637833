// The software TLB: from a linear page to the host's memory, direct mapped. One entry answers reads, writes
// and fetches, each by a tag of its own, so that the fast path is one comparison.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace berth::engine::soft {

inline constexpr std::uint64_t kPageMask = ~std::uint64_t{4095};

struct Tlb {
  static constexpr unsigned kEntries = 512;
  static constexpr std::uint64_t kNever = 0x800;  // no page address has this bit, nor has an alignment's mask

  struct Entry {
    std::uint64_t read = kNever, write = kNever, execute = kNever;
    std::uint64_t addend = 0;  // host address = linear address + addend
  };
  struct Origin {
    std::uint64_t physical = 0;
    std::uint64_t linear = kNever;
    std::uint8_t page_shift = 12;
    bool global = false;
  };

  // Translated code by RIP, for branches whose target only shows as they are taken. Goes with the
  // translations that it was found by.
  static constexpr unsigned kJumps = 1024;
  static constexpr std::uint64_t kNoRip = std::uint64_t{1} << 63;  // not canonical: never jumped to
  struct Jump {
    std::uint64_t rip = kNoRip;
    const std::byte* code = nullptr;
  };

  std::array<Entry, kEntries> entries;
  std::array<Jump, kJumps> jumps;
  std::array<Origin, kEntries> origins;

  static unsigned jump_index(std::uint64_t rip) { return static_cast<unsigned>(rip ^ rip >> 8) % kJumps; }
  void forget_jumps() { jumps.fill({}); }

  static unsigned index(std::uint64_t linear) { return static_cast<unsigned>(linear >> 12) % kEntries; }
  Entry& at(std::uint64_t linear) { return entries[index(linear)]; }

  void flush(bool with_global) {
    forget_jumps();
    for (unsigned i = 0; i < kEntries; ++i) {
      if (with_global || !origins[i].global) drop(i);
    }
  }
  // All that maps the page, of whatever size, which `linear` lies in.
  void flush_page(std::uint64_t linear) {
    forget_jumps();
    for (unsigned i = 0; i < kEntries; ++i) {
      if (((linear ^ origins[i].linear) >> origins[i].page_shift) == 0) drop(i);
    }
  }
  // Stores to this physical page no longer take the fast path.
  void forbid_writes(std::uint64_t physical) {
    for (unsigned i = 0; i < kEntries; ++i) {
      if (origins[i].physical == physical) entries[i].write = kNever;
    }
  }

 private:
  void drop(unsigned i) {
    entries[i].read = entries[i].write = entries[i].execute = kNever;
    origins[i] = {.physical = kNever};
  }
};

}  // namespace berth::engine::soft

// The software TLB: from a linear page to the host's memory, direct mapped. One entry answers reads, writes
// and fetches, each by a tag of its own, so that the fast path is one comparison.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace berth::engine::soft {

inline constexpr std::uint64_t kPageMask = ~std::uint64_t{4095};

// All public: what translated code works on has to be of standard layout.
template <unsigned Count>
struct BitSet {
  static_assert(Count % 64 == 0);
  std::array<std::uint64_t, Count / 64> words{};

  bool has(unsigned i) const { return (words[i / 64] >> (i % 64) & 1) != 0; }
  void set(unsigned i, bool value) {
    const std::uint64_t bit = std::uint64_t{1} << (i % 64);
    words[i / 64] = value ? words[i / 64] | bit : words[i / 64] & ~bit;
  }
  void clear() { words.fill(0); }
  // `action` may change the bit that it is called for.
  template <class Action>
  void for_each(Action action) const {
    for (unsigned word = 0; word < words.size(); ++word) {
      for (std::uint64_t left = words[word]; left != 0; left &= left - 1)
        action(word * 64 + static_cast<unsigned>(std::countr_zero(left)));
    }
  }
};

struct Tlb {
  static constexpr unsigned kEntries = 2048;
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
  static constexpr unsigned kJumps = 4096;                         // as many as jump_index() gives
  static constexpr std::uint64_t kNoRip = std::uint64_t{1} << 63;  // not canonical: never jumped to
  struct Jump {
    std::uint64_t rip = kNoRip;
    const std::byte* code = nullptr;
  };

  std::array<Entry, kEntries> entries;
  std::array<Jump, kJumps> jumps;
  std::array<Origin, kEntries> origins;
  std::array<std::uint8_t, kEntries> is_global;  // 1 where the origin is
  // So that what happens often costs by what is there, not by what there is room for.
  BitSet<kEntries> used, local;  // entries; those that go when CR3 changes
  BitSet<kJumps> local_jumps;
  static constexpr unsigned kJumpPages = 4096;
  BitSet<kJumpPages> jump_pages;  // by page number: those that `jumps` may lead into

  static constexpr std::uint32_t kJumpFactor = 0x9e3779b1;
  static constexpr unsigned kJumpShift = 20;
  static unsigned jump_index(std::uint64_t rip) {
    return static_cast<std::uint32_t>(rip) * kJumpFactor >> kJumpShift;
  }
  void forget_jumps() {
    jumps.fill({});
    local_jumps.clear();
    jump_pages.clear();
  }
  static unsigned page_number(std::uint64_t linear) {
    return static_cast<unsigned>(linear >> 12) % kJumpPages;
  }
  void forget_jumps_into(std::uint64_t linear) {
    for (Jump& jump : jumps) {
      if (((jump.rip ^ linear) & kPageMask) == 0) jump = {};
    }
  }
  // `global`: code that stays mapped where it is when CR3 changes.
  void remember_jump(std::uint64_t rip, const std::byte* code, bool global) {
    jumps[jump_index(rip)] = {.rip = rip, .code = code};
    local_jumps.set(jump_index(rip), !global);
    jump_pages.set(page_number(rip), true);
  }

  static unsigned index(std::uint64_t linear) { return static_cast<unsigned>(linear >> 12) % kEntries; }
  Entry& at(std::uint64_t linear) { return entries[index(linear)]; }

  // To be called where an entry changes what it stands for; the entry's tags are the caller's.
  void set_origin(const Origin& origin) {
    const unsigned i = index(origin.linear);
    origins[i] = origin;
    is_global[i] = origin.global ? 1 : 0;
    used.set(i, true);
    local.set(i, !origin.global);
  }

  void flush(bool with_global) {
    if (with_global) {
      forget_jumps();
      used.for_each([this](unsigned i) { drop(i); });
      return;
    }
    local_jumps.for_each([this](unsigned i) { jumps[i] = {}; });
    local_jumps.clear();
    local.for_each([this](unsigned i) { drop(i); });
  }
  // All that maps the page which `linear` lies in. `may_be_large`: it may be larger than 4 KiB, and then have
  // many entries.
  void flush_page(std::uint64_t linear, bool may_be_large) {
    if (may_be_large) {
      forget_jumps();
    } else if (jump_pages.has(page_number(linear))) {
      forget_jumps_into(linear);
    }
    const auto drop_matching = [this, linear](unsigned i) {
      if (((linear ^ origins[i].linear) >> origins[i].page_shift) == 0) drop(i);
    };
    if (may_be_large) {
      used.for_each(drop_matching);
    } else {
      drop_matching(index(linear));
    }
  }
  // Stores to this physical page no longer take the fast path.
  void forbid_writes(std::uint64_t physical) {
    used.for_each([this, physical](unsigned i) {
      if (origins[i].physical == physical) entries[i].write = kNever;
    });
  }

 private:
  void drop(unsigned i) {
    entries[i].read = entries[i].write = entries[i].execute = kNever;
    origins[i] = {.physical = kNever};
    used.set(i, false);
    local.set(i, false);
  }
};

// The linear addresses that pages above 4 KiB have been seen to cover, as one range.
class LargePages {
 public:
  void note(std::uint64_t linear, unsigned page_shift) {
    const std::uint64_t mask = (std::uint64_t{1} << page_shift) - 1;
    first_ = std::min(first_, linear & ~mask);
    last_ = std::max(last_, linear | mask);
  }
  bool may_cover(std::uint64_t linear) const { return first_ <= linear && linear <= last_; }
  void clear() { *this = {}; }

 private:
  std::uint64_t first_ = ~std::uint64_t{0}, last_ = 0;
};

}  // namespace berth::engine::soft

// What one place in translated code remembers: the page that it has touched last, so that it need not look
// into the TLB for the next touch (docs/decisions/0011). Slots lie behind the code; they are copies of what
// the TLB held, and are emptied by what empties it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace berth::engine::soft {

// A touch at `linear` is within the page where linear - page, rotated by the alignment's bits, is below
// `limit`. All zero: there is no page.
struct PageSlot {
  static constexpr std::int8_t kPatience = 127;

  std::uint64_t page = 0;
  std::uint64_t limit = 0;
  std::uint64_t addend = 0;      // host address = linear address + addend
  std::uint16_t full_limit = 0;  // `limit` where there is a page
  std::uint16_t since = 0;       // when misses_left was set, by the host's clock / 4096
  std::uint8_t last = 0;         // from a touch's first byte to its last
  std::uint8_t alignment_mask = 0;
  std::uint8_t listed = 0;      // 1 + the one of PageSlots::lists that it was entered into last
  std::int8_t misses_left = 0;  // before somebody looks whether the slot is worth its while
};
static_assert(sizeof(PageSlot) == 32);

// The page that RSP points into, where it can be written, for all accesses by RSP. limits[i] is for those of
// 8 << i bytes at most; all zero: there is no page.
struct alignas(64) StackPage {
  static constexpr unsigned kSizes = 6;

  std::uint64_t page = 0;
  std::uint64_t addend = 0;
  std::array<std::uint64_t, kSizes> limits{};

  static constexpr std::uint64_t full_limit(unsigned size) { return 4096 - (8u << size) + 1; }
  void empty() { limits.fill(0); }
};

// The slots that hold a page, in four lists: by the half of the address space, and apart those of pages that
// stay when CR3 changes. Of standard layout, as translated code fills it.
struct PageSlots {
  static constexpr unsigned kMost = 2048;
  static constexpr unsigned kGlobal = 2;  // from this list on

  std::array<StackPage, 3> stacks;  // by CodeContext::tlbs
  PageSlot* doubted = nullptr;      // has missed often
  std::array<std::uint32_t, 4> counts{};
  std::array<std::array<PageSlot*, kMost>, 4> lists;

  bool is_full() const { return *std::max_element(counts.begin(), counts.end()) == kMost; }
  void empty(bool with_global) {
    for (StackPage& stack : stacks) stack.empty();
    for (unsigned list = 0; list < (with_global ? lists.size() : kGlobal); ++list) empty_list(list);
  }
  // Those that hold this page of 4 KiB.
  void empty_page(std::uint64_t page) {
    for (StackPage& stack : stacks) stack.empty();
    for (unsigned list = static_cast<unsigned>(page >> 63); list < lists.size(); list += kGlobal) {
      for (unsigned i = 0; i < counts[list]; ++i) {
        PageSlot& slot = *lists[list][i];
        if (slot.page == page) slot.limit = 0;
      }
    }
  }
  // Before their memory is used for something else.
  void forget() {
    counts = {};
    doubted = nullptr;
  }

 private:
  void empty_list(unsigned list) {
    for (unsigned i = 0; i < counts[list]; ++i) {
      lists[list][i]->limit = 0;
      lists[list][i]->listed = 0;
    }
    counts[list] = 0;
  }
};

}  // namespace berth::engine::soft

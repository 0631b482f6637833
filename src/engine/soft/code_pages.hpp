// Which pages of RAM hold code that some processor of the machine has cached. Every processor has a cache of
// its own; this is how the stores of one come to be seen by the others.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "guest/memory.hpp"

namespace berth::engine::soft {

// Counts the pages of RAM, from 0, over the hole between its regions.
class RamPages {
 public:
  explicit RamPages(const guest::GuestMemory& memory);
  std::uint64_t count() const { return count_; }
  // count() or more where `physical` is not RAM.
  std::uint64_t index(std::uint64_t physical) const {
    return physical < low_bytes_ ? physical >> 12 : (physical - high_shift_) >> 12;
  }

 private:
  std::uint64_t count_ = 0, low_bytes_ = 0, high_shift_ = 0;
};

// Any thread.
class CodePages {
 public:
  static constexpr unsigned kMostProcessors = 8;

  explicit CodePages(const guest::GuestMemory& memory);

  bool any(std::uint64_t physical) const { return holders(physical) != 0; }
  bool has(std::uint64_t physical, unsigned self) const { return (holders(physical) >> self & 1) != 0; }
  // The processors but `self` that have code of the page, a bit each.
  unsigned others(std::uint64_t physical, unsigned self) const { return holders(physical) & ~(1u << self); }
  void add(std::uint64_t physical, unsigned self);
  void remove(std::uint64_t physical, unsigned self);

 private:
  unsigned holders(std::uint64_t physical) const {
    const std::uint64_t index = pages_.index(physical);
    return index < pages_.count() ? holders_[index].load() : 0;
  }
  RamPages pages_;
  std::unique_ptr<std::atomic<std::uint8_t>[]> holders_;
};

}  // namespace berth::engine::soft

// The guest's memory comes from the host page by page as it is touched, for 5 to 15 us a page; some pages at
// a time cost little more than one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "guest/memory.hpp"
#include "sys/mapping.hpp"

namespace berth::engine::soft {

class FirstTouch {
 public:
  explicit FirstTouch(const guest::GuestMemory& memory)
      : memory_(memory.base(), memory.bytes()), touched_((memory.bytes() >> kShift) + 1) {}

  // `place` in the guest's memory is about to be accessed.
  void expect(const std::byte* place) {
    const auto chunk = static_cast<std::uint64_t>(place - memory_.data()) >> kShift;
    if (touched_[chunk]) [[likely]]
      return;
    touched_[chunk] = true;
    const std::uint64_t start = chunk << kShift;
    sys::populate(memory_.subspan(start, std::min(kChunk, memory_.size() - start)));
  }

 private:
  static constexpr unsigned kShift = 16;
  static constexpr std::uint64_t kChunk = std::uint64_t{1} << kShift;
  std::span<std::byte> memory_;
  std::vector<bool> touched_;
};

}  // namespace berth::engine::soft

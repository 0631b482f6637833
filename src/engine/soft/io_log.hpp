// Accesses to devices leave the engine in the middle of an instruction. The instruction is then executed
// again from its start, with the answers so far: reads that have been answered give their value, writes that
// have been made are not repeated.
#pragma once

#include <array>
#include <cstdint>

#include "base/result.hpp"

namespace berth::engine::soft {

class IoLog {
 public:
  // Whether the access at hand has been made already; its value then, 0 for a write.
  bool replay(std::uint64_t& value) {
    if (next_ == count_) return false;
    value = values_[next_++];
    return true;
  }
  // The access that left the engine is done.
  void append(std::uint64_t value) {
    BERTH_ASSERT(count_ < values_.size());
    values_[count_++] = value;
  }
  void rewind() { next_ = 0; }
  // The instruction, or one round of a string instruction, is complete.
  void clear() { next_ = count_ = 0; }
  bool empty() const { return count_ == 0; }

 private:
  std::array<std::uint64_t, 160> values_{};  // XSAVE's 832 bytes in units of 8 are the most
  std::uint32_t next_ = 0, count_ = 0;
};

}  // namespace berth::engine::soft

// Pushing and popping in every mode. Several values go as one: RSP changes at commit(), after all that may
// fault.
#pragma once

#include <cstdint>

#include "engine/soft/access.hpp"

namespace berth::engine::soft {

inline std::uint64_t stack_mask(const Cpu& cpu) {
  if (cpu.is_64bit()) return ~std::uint64_t{0};
  const bool is_big = (cpu.arch.segment(x86::SegmentName::Ss).attributes & x86::attribute::kBig) != 0;
  return is_big ? 0xffffffff : 0xffff;
}

inline void set_stack_pointer(Cpu& cpu, std::uint64_t value, std::uint64_t mask) {
  std::uint64_t& rsp = cpu.reg(x86::Gpr::Rsp);
  rsp = mask == 0xffff ? (rsp & ~mask) | (value & mask) : value & mask;
}

class StackCursor {
 public:
  explicit StackCursor(Cpu& cpu)
      : cpu_(cpu), mask_(stack_mask(cpu)), offset_(cpu.reg(x86::Gpr::Rsp) & mask_) {}

  void push(unsigned bytes, std::uint64_t value) {
    offset_ = (offset_ - bytes) & mask_;
    store_bytes(cpu_, address(bytes, true), bytes, value);
  }
  std::uint64_t pop(unsigned bytes) {
    const std::uint64_t value = load_bytes(cpu_, address(bytes, false), bytes);
    skip(bytes);
    return value;
  }
  void skip(std::uint64_t bytes) { offset_ = (offset_ + bytes) & mask_; }
  std::uint64_t offset() const { return offset_; }
  void commit() { set_stack_pointer(cpu_, offset_, mask_); }

 private:
  std::uint64_t address(unsigned bytes, bool write) {
    const unsigned segment =
        cpu_.is_64bit() ? kFlatStackSegment : static_cast<unsigned>(x86::SegmentName::Ss);
    // An operand in memory, of PUSH and POP, has a segment of its own, and its faults are not the stack's.
    const bool is_address = x86::is_canonical(offset_) && x86::is_canonical(offset_ + bytes - 1);
    if (cpu_.is_64bit() && !is_address) [[unlikely]]
      raise(cpu_, x86::Vector::Ss);
    return segment_address(cpu_, segment, offset_, bytes, write);
  }
  Cpu& cpu_;
  std::uint64_t mask_;
  std::uint64_t offset_;
};

}  // namespace berth::engine::soft

// Writes the host's machine code: the few forms that the translator needs. Registers go by their numbers, all
// operations are 64 bits wide unless their name says otherwise.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>

#include "base/result.hpp"

namespace berth::engine::soft {

inline constexpr unsigned kRax = 0, kRcx = 1, kRdx = 2, kRbx = 3, kRsp = 4, kRbp = 5, kRsi = 6, kRdi = 7,
                          kR9 = 9, kR10 = 10, kR11 = 11;

// An address: base + index << shift + displacement; without a base, the displacement alone is not enough.
struct HostAddress {
  static constexpr unsigned kNone = 16;
  unsigned base = kNone;
  unsigned index = kNone;
  unsigned shift = 0;
  std::int32_t displacement = 0;
};

class HostCode {
 public:
  enum Condition : std::uint8_t {
    kBelow = 2,
    kNotBelow = 3,
    kEqual = 4,
    kNotEqual = 5,
    kNotAbove = 6,
    kNegative = 8
  };

  // Writes to `out`, for execution at `address`.
  HostCode(std::byte* out, std::size_t size, const std::byte* address)
      : out_(out), size_(size), address_(address) {}

  std::size_t at() const { return used_; }
  std::size_t left() const { return size_ - used_; }
  const std::byte* address(std::size_t place) const { return address_ + place; }
  std::byte* writable(std::size_t place) const { return out_ + place; }

  void bytes(std::initializer_list<unsigned> values) {
    for (const unsigned value : values) put(static_cast<std::uint8_t>(value));
  }
  void raw(const void* data, std::size_t bytes) {
    BERTH_ASSERT(used_ + bytes <= size_);
    std::memcpy(out_ + used_, data, bytes);
    used_ += bytes;
  }
  void imm32(std::int32_t value) { raw(&value, sizeof value); }

  // One opcode byte (or 0F and one) with a register and a place in memory, or two registers.
  void with_memory(unsigned opcode, unsigned reg, const HostAddress& place, bool wide = true);
  void with_register(unsigned opcode, unsigned reg, unsigned rm, bool wide = true);

  // The same with a place within 2 GiB.
  void with_place(unsigned opcode, unsigned reg, const std::byte* place);

  void load(unsigned reg, const HostAddress& from) { with_memory(0x8b, reg, from); }
  void store(unsigned reg, const HostAddress& to) { with_memory(0x89, reg, to); }
  void store32(unsigned reg, const HostAddress& to) { with_memory(0x89, reg, to, false); }
  void store16(unsigned reg, const HostAddress& to) {
    put(0x66);
    with_memory(0x89, reg, to, false);
  }
  void load16(unsigned reg, const HostAddress& from) { with_memory(0x0fb7, reg, from, false); }
  void store_immediate(std::int32_t value, const HostAddress& to, bool wide = true) {
    with_memory(0xc7, 0, to, wide);
    imm32(value);
  }
  void lea(unsigned reg, const HostAddress& from, bool wide = true) { with_memory(0x8d, reg, from, wide); }
  void move(unsigned to, unsigned from) { with_register(0x89, from, to); }
  void move_immediate(unsigned to, std::int32_t value) {
    with_register(0xc7, 0, to);
    imm32(value);
  }
  void move_address(unsigned to, const void* value) {
    bytes({0x48 | to >> 3, 0xb8 | (to & 7)});
    raw(&value, sizeof value);
  }
  void add(unsigned to, const HostAddress& from) { with_memory(0x03, to, from); }
  void compare(unsigned reg, const HostAddress& with) { with_memory(0x3b, reg, with); }
  void compare32_with_zero(const HostAddress& place) {
    with_memory(0x83, 7, place, false);
    put(0);
  }
  void and_immediate(unsigned reg, std::int32_t value, bool wide = true) {
    with_register(0x81, 4, reg, wide);
    imm32(value);
  }
  void exclusive_or(unsigned to, unsigned from) { with_register(0x31, from, to); }
  void shift_right(unsigned reg, unsigned bits) {
    with_register(0xc1, 5, reg);
    put(static_cast<std::uint8_t>(bits));
  }
  void shift_left(unsigned reg, unsigned bits) {
    with_register(0xc1, 4, reg);
    put(static_cast<std::uint8_t>(bits));
  }
  void rotate_right(unsigned reg, unsigned bits) {
    with_register(0xc1, 1, reg);
    put(static_cast<std::uint8_t>(bits));
  }
  void rotate_left(unsigned reg, unsigned bits) {
    with_register(0xc1, 0, reg);
    put(static_cast<std::uint8_t>(bits));
  }
  void push(unsigned reg) { bytes({0x40 | reg >> 3, 0x50 | (reg & 7)}); }
  void pop(unsigned reg) { bytes({0x40 | reg >> 3, 0x58 | (reg & 7)}); }

  // Branches with a place still to be filled in, which is given back.
  std::size_t jump_if(unsigned condition) {
    bytes({0x0f, 0x80 | condition});
    return displacement();
  }
  std::size_t jump() {
    put(0xe9);
    return displacement();
  }
  std::size_t call() {
    put(0xe8);
    return displacement();
  }
  void jump_to_register(unsigned reg) { bytes({0x41, 0xff, 0xe0 | (reg & 7)}); }  // of the upper eight
  void jump_to_memory(const HostAddress& place) { with_memory(0xff, 4, place, false); }
  void aim(std::size_t branch, const std::byte* target) {
    const auto distance = static_cast<std::int32_t>(target - (address_ + branch + 4));
    std::memcpy(out_ + branch, &distance, sizeof distance);
  }
  void aim_here(std::size_t branch) { aim(branch, address_ + used_); }

 private:
  void put(std::uint8_t value) { raw(&value, 1); }
  void opcode(unsigned value) {
    if (value > 0xff) put(static_cast<std::uint8_t>(value >> 8));
    put(static_cast<std::uint8_t>(value));
  }
  std::size_t displacement() {
    imm32(0);
    return used_ - 4;
  }

  std::byte* out_;
  std::size_t size_;
  const std::byte* address_;
  std::size_t used_ = 0;
};

}  // namespace berth::engine::soft

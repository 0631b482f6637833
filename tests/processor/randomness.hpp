// Numbers to draw a case from: bytes of somebody's choice as long as there are any, then what a seed gives.
#pragma once

#include <cstdint>
#include <span>

namespace berth::judge {

class Randomness {
 public:
  explicit Randomness(std::uint64_t seed, std::span<const std::uint8_t> bytes = {})
      : bytes_(bytes), state_(seed) {}

  // 64 bits by splitmix64 (Steele, Lea, Flood 2014).
  std::uint64_t bits() {
    std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
  }
  std::uint64_t below(std::uint64_t bound) {
    if (bytes_.empty()) return bits() % bound;
    std::uint64_t value = 0;
    for (std::uint64_t reach = 1; reach < bound && !bytes_.empty(); reach <<= 8) {
      value = value << 8 | bytes_.front();
      bytes_ = bytes_.subspan(1);
    }
    return value % bound;
  }
  bool one_in(std::uint64_t bound) { return below(bound) == 0; }

 private:
  std::span<const std::uint8_t> bytes_;
  std::uint64_t state_;
};

}  // namespace berth::judge

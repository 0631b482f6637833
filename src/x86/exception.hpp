// Exceptions and how two of them in a row combine (SDM vol. 3, table 6-5).
#pragma once

#include <cstdint>

namespace berth::x86 {

enum class Vector : std::uint8_t {
  De = 0,
  Db = 1,
  Nmi = 2,
  Bp = 3,
  Of = 4,
  Br = 5,
  Ud = 6,
  Nm = 7,
  Df = 8,
  Ts = 10,
  Np = 11,
  Ss = 12,
  Gp = 13,
  Pf = 14,
  Mf = 16,
  Ac = 17,
  Mc = 18,
  Xm = 19
};

// Where an event came from: it decides the checks of its gate, and what RIP its frame holds.
enum class Source : std::uint8_t {
  Exception,          // a fault or trap of the processor
  External,           // an interrupt or NMI
  Software,           // INT n, INT3, INTO
  PrivilegedSoftware  // INT1: no check of the gate's DPL
};

struct Event {
  std::uint8_t vector = 0;
  Source source = Source::Exception;
  bool has_error = false;
  std::uint32_t error = 0;
};

constexpr bool pushes_error_code(Vector vector) {
  const auto number = static_cast<unsigned>(vector);
  return number < 32 && ((1u << number) & ((1u << 8) | (0x1fu << 10) | (1u << 17))) != 0;
}

constexpr bool is_contributory(std::uint8_t vector) { return vector == 0 || (vector >= 10 && vector <= 13); }

enum class Combination : std::uint8_t { Serial, DoubleFault, Shutdown };

// What becomes of `second`, raised while the exception `first` was being delivered.
constexpr Combination combine(std::uint8_t first, std::uint8_t second) {
  if (first == static_cast<std::uint8_t>(Vector::Df)) return Combination::Shutdown;
  const bool page_fault = first == static_cast<std::uint8_t>(Vector::Pf);
  if (is_contributory(first) && is_contributory(second)) return Combination::DoubleFault;
  if (page_fault && (is_contributory(second) || second == static_cast<std::uint8_t>(Vector::Pf))) {
    return Combination::DoubleFault;
  }
  return Combination::Serial;
}

}  // namespace berth::x86

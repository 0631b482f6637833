// Instructions that 64-bit mode has not: decimal arithmetic, BOUND, SALC.
#include "engine/soft/access.hpp"
#include "engine/soft/condition.hpp"
#include "engine/soft/decoded.hpp"

namespace berth::engine::soft {
namespace {

using x86::Gpr;

constexpr std::uint8_t kAl = 0, kAh = 1;

bool flag(const Cpu& cpu, std::uint64_t which) { return (cpu.native.flags & which) != 0; }
void put_flag(Cpu& cpu, std::uint64_t which, bool value) {
  cpu.native.flags = value ? cpu.native.flags | which : cpu.native.flags & ~which;
}
// SF, ZF and PF of a byte.
void put_result_flags(Cpu& cpu, std::uint8_t value) {
  put_flag(cpu, kFlagSf, (value & 0x80) != 0);
  put_flag(cpu, kFlagZf, value == 0);
  put_flag(cpu, kFlagPf, __builtin_parity(value) == 0);
}

template <bool Subtract>
const Op* decimal_adjust(Cpu& cpu, const Op* op) {
  const auto old = get<std::uint8_t>(cpu, kAl);
  const bool old_carry = flag(cpu, kFlagCf);
  unsigned value = old;
  bool carry = false;
  const bool low = (old & 15) > 9 || flag(cpu, kFlagAf);
  if (low) {
    carry = old_carry || (Subtract ? old < 6 : old > 0xf9);
    value = Subtract ? value - 6 : value + 6;
  }
  if (old > 0x99 || old_carry) {
    value = Subtract ? value - 0x60 : value + 0x60;
    carry = true;
  }
  set(cpu, kAl, static_cast<std::uint8_t>(value));
  put_flag(cpu, kFlagAf, low);
  put_flag(cpu, kFlagCf, carry);
  put_result_flags(cpu, static_cast<std::uint8_t>(value));
  return op + 1;
}

template <bool Subtract>
const Op* ascii_adjust(Cpu& cpu, const Op* op) {
  auto ax = get<std::uint16_t>(cpu, offset_of(Gpr::Rax));
  const bool adjust = (ax & 15) > 9 || flag(cpu, kFlagAf);
  if (adjust) ax = static_cast<std::uint16_t>(Subtract ? ax - 0x106 : ax + 0x106);
  set(cpu, offset_of(Gpr::Rax), static_cast<std::uint16_t>(ax & 0xff0f));
  put_flag(cpu, kFlagAf, adjust);
  put_flag(cpu, kFlagCf, adjust);
  return op + 1;
}

const Op* ascii_adjust_multiply(Cpu& cpu, const Op* op) {
  const auto base = static_cast<std::uint8_t>(op->immediate);
  if (base == 0) raise(cpu, x86::Vector::De);
  const auto al = get<std::uint8_t>(cpu, kAl);
  set(cpu, kAh, static_cast<std::uint8_t>(al / base));
  set(cpu, kAl, static_cast<std::uint8_t>(al % base));
  put_result_flags(cpu, static_cast<std::uint8_t>(al % base));
  return op + 1;
}
const Op* ascii_adjust_divide(Cpu& cpu, const Op* op) {
  const auto base = static_cast<std::uint8_t>(op->immediate);
  const auto value =
      static_cast<std::uint8_t>(get<std::uint8_t>(cpu, kAl) + get<std::uint8_t>(cpu, kAh) * base);
  set(cpu, offset_of(Gpr::Rax), std::uint16_t{value});
  put_result_flags(cpu, value);
  return op + 1;
}

const Op* check_bounds(Cpu& cpu, const Op* op) {
  const unsigned bytes = op->operand_bytes;
  const std::uint64_t linear = operand_address(cpu, op, 2 * bytes, false);
  const auto extend = [bytes](std::uint64_t value) {
    return bytes == 2 ? static_cast<std::int64_t>(static_cast<std::int16_t>(value))
                      : static_cast<std::int64_t>(static_cast<std::int32_t>(value));
  };
  const std::int64_t lower = extend(load_bytes(cpu, linear, bytes)),
                     upper = extend(load_bytes(cpu, linear + bytes, bytes));
  const std::int64_t index = extend(get_bytes(cpu, op->dst, bytes));
  if (index < lower || index > upper) raise(cpu, x86::Vector::Br);
  return op + 1;
}

const Op* set_al_on_carry(Cpu& cpu, const Op* op) {
  set(cpu, kAl, static_cast<std::uint8_t>(flag(cpu, kFlagCf) ? 0xff : 0));
  return op + 1;
}

}  // namespace

Handler select_legacy(const Decoded& decoded, Op& op) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_DAA:
      return decimal_adjust<false>;
    case ZYDIS_MNEMONIC_DAS:
      return decimal_adjust<true>;
    case ZYDIS_MNEMONIC_AAA:
      return ascii_adjust<false>;
    case ZYDIS_MNEMONIC_AAS:
      return ascii_adjust<true>;
    case ZYDIS_MNEMONIC_AAM:
      return ascii_adjust_multiply;
    case ZYDIS_MNEMONIC_AAD:
      return ascii_adjust_divide;
    case ZYDIS_MNEMONIC_SALC:
      return set_al_on_carry;
    case ZYDIS_MNEMONIC_BOUND:
      op.operand_bytes = static_cast<std::uint8_t>(decoded.instruction.operand_width / 8);
      return check_bounds;
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

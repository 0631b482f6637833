// Shifts and rotates by a count, and DIV and IDIV, which may fault.
#include "engine/soft/access.hpp"
#include "engine/soft/decoded.hpp"
#include "engine/soft/modify.hpp"

namespace berth::engine::soft {
namespace {

#define BERTH_SHIFT(Name, instruction)                                          \
  struct Name {                                                                 \
    template <class T>                                                          \
    static T apply(std::uint64_t& flags, T value, std::uint8_t count) {         \
      auto packed = static_cast<std::uint16_t>(flags);                          \
      asm("add $127, %%al\n sahf\n " instruction " %%cl, %0\n lahf\n seto %%al" \
          : "+q"(value), "+a"(packed)                                           \
          : "c"(count)                                                          \
          : "cc");                                                              \
      flags = packed;                                                           \
      return value;                                                             \
    }                                                                           \
  }

BERTH_SHIFT(Rol, "rol");
BERTH_SHIFT(Ror, "ror");
BERTH_SHIFT(Rcl, "rcl");
BERTH_SHIFT(Rcr, "rcr");
BERTH_SHIFT(Shl, "shl");
BERTH_SHIFT(Shr, "shr");
BERTH_SHIFT(Sar, "sar");

template <class Shift, class T>
const Op* shift_register(Cpu& cpu, const Op* op) {
  const auto count = op->has(Op::kImmediate) ? static_cast<std::uint8_t>(op->immediate)
                                             : get<std::uint8_t>(cpu, offset_of(x86::Gpr::Rcx));
  set<T>(cpu, op->dst, Shift::template apply<T>(cpu.native.flags, get<T>(cpu, op->dst), count));
  return op + 1;
}
template <class Shift, class T>
const Op* shift_memory(Cpu& cpu, const Op* op) {
  const auto count = op->has(Op::kImmediate) ? static_cast<std::uint8_t>(op->immediate)
                                             : get<std::uint8_t>(cpu, offset_of(x86::Gpr::Rcx));
  modify<T>(cpu, op,
            [count](T value, std::uint64_t& flags) { return Shift::template apply<T>(flags, value, count); });
  return op + 1;
}

template <class Shift, class T>
Handler pick(const Decoded& decoded) {
  return decoded.is_memory(0) ? shift_memory<Shift, T> : shift_register<Shift, T>;
}
template <class Shift>
Handler shift(const Decoded& decoded) {
  switch (decoded.bytes(0)) {
    case 1:
      return pick<Shift, std::uint8_t>(decoded);
    case 2:
      return pick<Shift, std::uint16_t>(decoded);
    case 4:
      return pick<Shift, std::uint32_t>(decoded);
    default:
      return pick<Shift, std::uint64_t>(decoded);
  }
}

using Wide = unsigned __int128;
using SignedWide = __int128;

struct Dividend {
  Wide value = 0;
  unsigned bits = 0;  // of the divisor
};

Dividend dividend_of(const Cpu& cpu, unsigned bytes) {
  const std::uint64_t low = get_bytes(cpu, offset_of(x86::Gpr::Rax), bytes == 1 ? 2 : bytes);
  if (bytes == 1) return {low, 8};
  const std::uint64_t high = get_bytes(cpu, offset_of(x86::Gpr::Rdx), bytes);
  return {static_cast<Wide>(high) << (8 * bytes) | low, 8 * bytes};
}

void put_result(Cpu& cpu, unsigned bytes, std::uint64_t quotient, std::uint64_t remainder) {
  if (bytes == 1) {
    set(cpu, offset_of(x86::Gpr::Rax),
        static_cast<std::uint16_t>((remainder & 0xff) << 8 | (quotient & 0xff)));
    return;
  }
  set_bytes(cpu, offset_of(x86::Gpr::Rax), bytes, quotient);
  set_bytes(cpu, offset_of(x86::Gpr::Rdx), bytes, remainder);
}

std::uint64_t divisor_of(Cpu& cpu, const Op* op) {
  if (!op->has(Op::kMemory)) return get_bytes(cpu, op->dst, op->operand_bytes);
  return load_bytes(cpu, operand_address(cpu, op, op->operand_bytes, false), op->operand_bytes);
}

const Op* divide_unsigned(Cpu& cpu, const Op* op) {
  const std::uint64_t divisor = divisor_of(cpu, op);
  const Dividend dividend = dividend_of(cpu, op->operand_bytes);
  if (divisor == 0 || dividend.value / divisor >> dividend.bits != 0) raise(cpu, x86::Vector::De);
  put_result(cpu, op->operand_bytes, static_cast<std::uint64_t>(dividend.value / divisor),
             static_cast<std::uint64_t>(dividend.value % divisor));
  return op + 1;
}

SignedWide sign_extend(Wide value, unsigned bits) {
  return static_cast<SignedWide>(value << (128 - bits)) >> (128 - bits);
}

const Op* divide_signed(Cpu& cpu, const Op* op) {
  const Dividend raw = dividend_of(cpu, op->operand_bytes);
  const SignedWide divisor = sign_extend(divisor_of(cpu, op), raw.bits);
  const SignedWide dividend = sign_extend(raw.value, 2 * raw.bits);
  const bool is_lowest = dividend == SignedWide{1} << 127;
  if (divisor == 0 || (is_lowest && divisor == -1)) raise(cpu, x86::Vector::De);
  const SignedWide quotient = dividend / divisor;
  if (sign_extend(static_cast<Wide>(quotient), raw.bits) != quotient) raise(cpu, x86::Vector::De);
  put_result(cpu, op->operand_bytes, static_cast<std::uint64_t>(quotient),
             static_cast<std::uint64_t>(dividend % divisor));
  return op + 1;
}

}  // namespace

Handler select_shift(const Decoded& decoded, Op&) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_ROL:
      return shift<Rol>(decoded);
    case ZYDIS_MNEMONIC_ROR:
      return shift<Ror>(decoded);
    case ZYDIS_MNEMONIC_RCL:
      return shift<Rcl>(decoded);
    case ZYDIS_MNEMONIC_RCR:
      return shift<Rcr>(decoded);
    case ZYDIS_MNEMONIC_SHL:
      return shift<Shl>(decoded);
    case ZYDIS_MNEMONIC_SHR:
      return shift<Shr>(decoded);
    case ZYDIS_MNEMONIC_SAR:
      return shift<Sar>(decoded);
    default:
      return nullptr;
  }
}

Handler select_divide(const Decoded& decoded, Op& op) {
  if (decoded.mnemonic() != ZYDIS_MNEMONIC_DIV && decoded.mnemonic() != ZYDIS_MNEMONIC_IDIV) return nullptr;
  op.operand_bytes = static_cast<std::uint8_t>(decoded.bytes(0));
  return decoded.mnemonic() == ZYDIS_MNEMONIC_DIV ? divide_unsigned : divide_signed;
}

}  // namespace berth::engine::soft

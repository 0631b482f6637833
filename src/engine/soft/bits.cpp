// BT, BTS, BTR, BTC. With a register for the bit's number and a memory operand, the number reaches beyond the
// operand: a bit string.
#include "engine/soft/condition.hpp"
#include "engine/soft/decoded.hpp"
#include "engine/soft/modify.hpp"

namespace berth::engine::soft {
namespace {

enum class Change : std::uint8_t { None, Set, Reset, Complement };

template <Change Kind, class T>
T changed(T value, unsigned bit) {
  const T mask = static_cast<T>(T{1} << bit);
  if constexpr (Kind == Change::Set) return static_cast<T>(value | mask);
  if constexpr (Kind == Change::Reset) return static_cast<T>(value & ~mask);
  if constexpr (Kind == Change::Complement) return static_cast<T>(value ^ mask);
  return value;
}

void set_carry(std::uint64_t& flags, bool value) { flags = value ? flags | kFlagCf : flags & ~kFlagCf; }

template <Change Kind, class T>
const Op* in_register(Cpu& cpu, const Op* op) {
  constexpr unsigned kBits = sizeof(T) * 8;
  const unsigned bit =
      static_cast<unsigned>(op->has(Op::kImmediate) ? op->immediate : get<T>(cpu, op->src)) % kBits;
  const T value = get<T>(cpu, op->dst);
  set_carry(cpu.native.flags, (value >> bit & 1) != 0);
  if constexpr (Kind != Change::None) set<T>(cpu, op->dst, changed<Kind, T>(value, bit));
  return op + 1;
}

template <Change Kind, class T>
const Op* in_memory(Cpu& cpu, const Op* op) {
  constexpr unsigned kBits = sizeof(T) * 8;
  std::uint64_t offset = operand_offset(cpu, op);
  unsigned bit = static_cast<unsigned>(op->immediate) % kBits;
  if (!op->has(Op::kImmediate)) {
    const auto number = static_cast<std::int64_t>(static_cast<std::make_signed_t<T>>(get<T>(cpu, op->src)));
    bit = static_cast<unsigned>(number) % kBits;
    offset += static_cast<std::uint64_t>((number - bit) / 8);
  }
  if (op->address_bytes < 8) offset &= op->address_bytes == 4 ? 0xffffffff : 0xffff;
  const std::uint64_t linear = segment_address(cpu, op->segment, offset, sizeof(T), Kind != Change::None);
  if constexpr (Kind == Change::None) {
    set_carry(cpu.native.flags, (load<T>(cpu, linear) >> bit & 1) != 0);
  } else {
    modify_at<T>(cpu, op, linear, [bit](T value, std::uint64_t& flags) {
      set_carry(flags, (value >> bit & 1) != 0);
      return changed<Kind, T>(value, bit);
    });
  }
  return op + 1;
}

template <Change Kind, class T>
Handler pick(const Decoded& decoded) {
  return decoded.is_memory(0) ? in_memory<Kind, T> : in_register<Kind, T>;
}
template <Change Kind>
Handler by_size(const Decoded& decoded) {
  switch (decoded.bytes(0)) {
    case 2:
      return pick<Kind, std::uint16_t>(decoded);
    case 4:
      return pick<Kind, std::uint32_t>(decoded);
    default:
      return pick<Kind, std::uint64_t>(decoded);
  }
}

}  // namespace

Handler select_bits(const Decoded& decoded, Op&) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_BT:
      return by_size<Change::None>(decoded);
    case ZYDIS_MNEMONIC_BTS:
      return by_size<Change::Set>(decoded);
    case ZYDIS_MNEMONIC_BTR:
      return by_size<Change::Reset>(decoded);
    case ZYDIS_MNEMONIC_BTC:
      return by_size<Change::Complement>(decoded);
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

// MOV with its extensions and conditions, LEA, XCHG, XLAT, and widening in the accumulator.
#include <array>
#include <type_traits>
#include <utility>

#include "engine/soft/access.hpp"
#include "engine/soft/condition.hpp"
#include "engine/soft/decoded.hpp"
#include "engine/soft/modify.hpp"

namespace berth::engine::soft {
namespace {

template <class T>
const Op* move_register_register(Cpu& cpu, const Op* op) {
  set<T>(cpu, op->dst, get<T>(cpu, op->src));
  return op + 1;
}
template <class T>
const Op* move_register_immediate(Cpu& cpu, const Op* op) {
  set<T>(cpu, op->dst, static_cast<T>(op->immediate));
  return op + 1;
}
template <class T>
const Op* move_register_memory(Cpu& cpu, const Op* op) {
  set<T>(cpu, op->dst, load<T>(cpu, operand_address(cpu, op, sizeof(T), false)));
  return op + 1;
}
template <class T>
const Op* move_memory_register(Cpu& cpu, const Op* op) {
  store<T>(cpu, operand_address(cpu, op, sizeof(T), true), get<T>(cpu, op->src));
  return op + 1;
}
template <class T>
const Op* move_memory_immediate(Cpu& cpu, const Op* op) {
  store<T>(cpu, operand_address(cpu, op, sizeof(T), true), static_cast<T>(op->immediate));
  return op + 1;
}

template <class T>
Handler move(const Decoded& decoded) {
  if (decoded.is_memory(0))
    return decoded.is_immediate(1) ? move_memory_immediate<T> : move_memory_register<T>;
  if (decoded.is_memory(1)) return move_register_memory<T>;
  return decoded.is_immediate(1) ? move_register_immediate<T> : move_register_register<T>;
}

// MOV between the accumulator and an address given in full, which may be 64 bits wide.
const Op* load_absolute(Cpu& cpu, const Op* op) {
  const std::uint64_t linear = segment_address(cpu, op->segment, op->immediate, op->operand_bytes, false);
  set_bytes(cpu, op->dst, op->operand_bytes, load_bytes(cpu, linear, op->operand_bytes));
  return op + 1;
}
const Op* store_absolute(Cpu& cpu, const Op* op) {
  const std::uint64_t linear = segment_address(cpu, op->segment, op->immediate, op->operand_bytes, true);
  store_bytes(cpu, linear, op->operand_bytes, get_bytes(cpu, op->src, op->operand_bytes));
  return op + 1;
}

bool is_absolute(const Decoded& decoded) {
  const std::uint8_t opcode = decoded.instruction.opcode;
  return decoded.instruction.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && opcode >= 0xa0 && opcode <= 0xa3;
}

Handler move_absolute(const Decoded& decoded, Op& op) {
  const unsigned memory = decoded.is_memory(0) ? 0 : 1;
  op.immediate = static_cast<std::uint64_t>(decoded.operands[memory].mem.disp.value);
  if (op.address_bytes == 4) op.immediate &= 0xffffffff;
  if (op.address_bytes == 2) op.immediate &= 0xffff;
  op.operand_bytes = static_cast<std::uint8_t>(decoded.bytes(memory));
  return memory == 0 ? store_absolute : load_absolute;
}

template <class From, class To>
const Op* extend_register(Cpu& cpu, const Op* op) {
  set(cpu, op->dst,
      static_cast<std::make_unsigned_t<To>>(
          static_cast<To>(static_cast<From>(get<std::make_unsigned_t<From>>(cpu, op->src)))));
  return op + 1;
}
template <class From, class To>
const Op* extend_memory(Cpu& cpu, const Op* op) {
  const auto value = load<std::make_unsigned_t<From>>(cpu, operand_address(cpu, op, sizeof(From), false));
  set(cpu, op->dst, static_cast<std::make_unsigned_t<To>>(static_cast<To>(static_cast<From>(value))));
  return op + 1;
}
template <class From, class To>
Handler extend(const Decoded& decoded) {
  return decoded.is_memory(1) ? extend_memory<From, To> : extend_register<From, To>;
}
template <class From, class To16, class To32, class To64>
Handler extend_from(const Decoded& decoded) {
  switch (decoded.bytes(0)) {
    case 2:
      return extend<From, To16>(decoded);
    case 4:
      return extend<From, To32>(decoded);
    default:
      return extend<From, To64>(decoded);
  }
}
Handler zero_extend(const Decoded& decoded) {
  if (decoded.bytes(1) == 1)
    return extend_from<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>(decoded);
  return extend_from<std::uint16_t, std::uint16_t, std::uint32_t, std::uint64_t>(decoded);
}
Handler sign_extend(const Decoded& decoded) {
  if (decoded.bytes(1) == 1)
    return extend_from<std::int8_t, std::int16_t, std::int32_t, std::int64_t>(decoded);
  if (decoded.bytes(1) == 2)
    return extend_from<std::int16_t, std::int16_t, std::int32_t, std::int64_t>(decoded);
  return extend_from<std::int32_t, std::int16_t, std::int32_t, std::int64_t>(decoded);
}

// CBW, CWDE, CDQE: the lower half of the accumulator into the whole.
template <class From, class To>
const Op* widen(Cpu& cpu, const Op* op) {
  const auto value = static_cast<From>(get<std::make_unsigned_t<From>>(cpu, offset_of(x86::Gpr::Rax)));
  set(cpu, offset_of(x86::Gpr::Rax), static_cast<std::make_unsigned_t<To>>(static_cast<To>(value)));
  return op + 1;
}
// CWD, CDQ, CQO: its sign into RDX.
template <class T>
const Op* spread_sign(Cpu& cpu, const Op* op) {
  const auto value = static_cast<T>(get<std::make_unsigned_t<T>>(cpu, offset_of(x86::Gpr::Rax)));
  set(cpu, offset_of(x86::Gpr::Rdx), static_cast<std::make_unsigned_t<T>>(value < 0 ? -1 : 0));
  return op + 1;
}

template <class T>
const Op* load_address(Cpu& cpu, const Op* op) {
  std::uint64_t offset = operand_offset(cpu, op);
  if (op->address_bytes == 4) offset &= 0xffffffff;
  if (op->address_bytes == 2) offset &= 0xffff;
  set<T>(cpu, op->dst, static_cast<T>(offset));
  return op + 1;
}

template <class T>
const Op* exchange_registers(Cpu& cpu, const Op* op) {
  const T first = get<T>(cpu, op->dst);
  const T second = get<T>(cpu, op->src);
  set<T>(cpu, op->dst, second);
  set<T>(cpu, op->src, first);
  return op + 1;
}
// Always locked; the decoder sets Op::kLock.
template <class T>
const Op* exchange_memory(Cpu& cpu, const Op* op) {
  const T fresh = get<T>(cpu, op->src);
  T old{};
  modify<T>(cpu, op, [&old, fresh](T value, std::uint64_t&) {
    old = value;
    return fresh;
  });
  set<T>(cpu, op->src, old);
  return op + 1;
}
template <class T>
Handler exchange(const Decoded& decoded, Op& op) {
  if (!decoded.is_memory(0) && !decoded.is_memory(1)) return exchange_registers<T>;
  if (decoded.is_memory(1)) op.src = op.dst;
  op.flags |= Op::kLock;
  return exchange_memory<T>;
}

const Op* translate_byte(Cpu& cpu, const Op* op) {
  std::uint64_t offset = cpu.reg(x86::Gpr::Rbx) + get<std::uint8_t>(cpu, offset_of(x86::Gpr::Rax));
  if (op->address_bytes == 4) offset &= 0xffffffff;
  if (op->address_bytes == 2) offset &= 0xffff;
  set(cpu, offset_of(x86::Gpr::Rax),
      load<std::uint8_t>(cpu, segment_address(cpu, op->segment, offset, 1, false)));
  return op + 1;
}

template <unsigned Condition, class T>
const Op* conditional_move(Cpu& cpu, const Op* op) {
  const T value =
      op->has(Op::kMemory) ? load<T>(cpu, operand_address(cpu, op, sizeof(T), false)) : get<T>(cpu, op->src);
  set<T>(cpu, op->dst, holds<Condition>(cpu.native.flags) ? value : get<T>(cpu, op->dst));
  return op + 1;
}
template <unsigned Condition>
const Op* conditional_set(Cpu& cpu, const Op* op) {
  const std::uint8_t value = holds<Condition>(cpu.native.flags) ? 1 : 0;
  if (op->has(Op::kMemory)) {
    store(cpu, operand_address(cpu, op, 1, true), value);
  } else {
    set(cpu, op->dst, value);
  }
  return op + 1;
}

template <class T, std::size_t... Conditions>
constexpr std::array<Handler, 16> conditional_moves(std::index_sequence<Conditions...>) {
  return {conditional_move<Conditions, T>...};
}
template <std::size_t... Conditions>
constexpr std::array<Handler, 16> conditional_sets(std::index_sequence<Conditions...>) {
  return {conditional_set<Conditions>...};
}
constexpr auto kConditions = std::make_index_sequence<16>();

template <template <class> class Pick, class... Arguments>
Handler by_size(unsigned bytes, Arguments&... arguments) {
  switch (bytes) {
    case 1:
      return Pick<std::uint8_t>::pick(arguments...);
    case 2:
      return Pick<std::uint16_t>::pick(arguments...);
    case 4:
      return Pick<std::uint32_t>::pick(arguments...);
    default:
      return Pick<std::uint64_t>::pick(arguments...);
  }
}
template <class T>
struct PickMove {
  static Handler pick(const Decoded& decoded) { return move<T>(decoded); }
};
template <class T>
struct PickExchange {
  static Handler pick(const Decoded& decoded, Op& op) { return exchange<T>(decoded, op); }
};
template <class T>
struct PickLea {
  static Handler pick() { return load_address<T>; }
};
template <class T>
struct PickConditional {
  static Handler pick(const Decoded& decoded) {
    constexpr auto kHandlers = conditional_moves<T>(kConditions);
    return kHandlers[condition_of(decoded.instruction)];
  }
};

Handler select_conditional(const Decoded& decoded) {
  if (decoded.instruction.opcode_map != ZYDIS_OPCODE_MAP_0F) return nullptr;
  const unsigned group = decoded.instruction.opcode & 0xf0u;
  if (group == 0x40 && decoded.instruction.meta.category == ZYDIS_CATEGORY_CMOV)
    return by_size<PickConditional>(decoded.bytes(0), decoded);
  if (group == 0x90 && decoded.instruction.meta.category == ZYDIS_CATEGORY_SETCC) {
    constexpr auto kHandlers = conditional_sets(kConditions);
    return kHandlers[condition_of(decoded.instruction)];
  }
  return nullptr;
}

// Segment, control and debug registers are others' business.
bool is_general(const Decoded& decoded) {
  for (unsigned i = 0; i < 2; ++i) {
    if (!decoded.is_register(i)) continue;
    const ZydisRegisterClass kind = decoded.register_class(i);
    if (kind == ZYDIS_REGCLASS_SEGMENT || kind == ZYDIS_REGCLASS_CONTROL || kind == ZYDIS_REGCLASS_DEBUG)
      return false;
  }
  return true;
}

// With REX.B it is XCHG R8 all the same, whatever the manuals and Zydis say.
Handler select_pause(const Decoded& decoded, Op& op) {
  const auto& rex = decoded.instruction.raw.rex;
  if (rex.B == 0) return nullptr;
  op.dst = offset_of(x86::Gpr::R8);
  op.src = offset_of(x86::Gpr::Rax);
  return rex.W != 0 ? exchange_registers<std::uint64_t> : exchange_registers<std::uint32_t>;
}

}  // namespace

Handler select_move(const Decoded& decoded, Op& op) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_MOV:
      if (!is_general(decoded)) return nullptr;
      if (is_absolute(decoded)) return move_absolute(decoded, op);
      return by_size<PickMove>(decoded.bytes(0), decoded);
    case ZYDIS_MNEMONIC_MOVNTI:
      return by_size<PickMove>(decoded.bytes(0), decoded);
    case ZYDIS_MNEMONIC_MOVZX:
      return zero_extend(decoded);
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
      return sign_extend(decoded);
    case ZYDIS_MNEMONIC_CBW:
      return widen<std::int8_t, std::int16_t>;
    case ZYDIS_MNEMONIC_CWDE:
      return widen<std::int16_t, std::int32_t>;
    case ZYDIS_MNEMONIC_CDQE:
      return widen<std::int32_t, std::int64_t>;
    case ZYDIS_MNEMONIC_CWD:
      return spread_sign<std::int16_t>;
    case ZYDIS_MNEMONIC_CDQ:
      return spread_sign<std::int32_t>;
    case ZYDIS_MNEMONIC_CQO:
      return spread_sign<std::int64_t>;
    case ZYDIS_MNEMONIC_LEA:
      return by_size<PickLea>(decoded.bytes(0));
    case ZYDIS_MNEMONIC_XCHG:
      return by_size<PickExchange>(decoded.bytes(0), decoded, op);
    case ZYDIS_MNEMONIC_PAUSE:
      return select_pause(decoded, op);
    case ZYDIS_MNEMONIC_XLAT:
      return translate_byte;
    default:
      return select_conditional(decoded);
  }
}

}  // namespace berth::engine::soft

// ADD to CMP, TEST, INC, DEC, NEG, NOT. The processor itself adds and sets the flags: it is the
// specification.
#include "engine/soft/access.hpp"
#include "engine/soft/decoded.hpp"
#include "engine/soft/modify.hpp"

namespace berth::engine::soft {
namespace {

// `prefix` brings CF in where the instruction reads or keeps it. kStores: CMP and TEST only set flags.
#define BERTH_BINARY(Name, instruction, prefix, stores)    \
  struct Name {                                            \
    static constexpr bool kStores = stores;                \
    template <class T>                                     \
    static T apply(std::uint64_t& flags, T a, T b) {       \
      std::uint16_t result;                                \
      asm(prefix instruction " %2, %0\n lahf\n seto %%al"  \
          : "+q"(a), "=&a"(result)                         \
          : "q"(b), "r"(static_cast<std::uint32_t>(flags)) \
          : "cc");                                         \
      flags = result;                                      \
      return a;                                            \
    }                                                      \
  }
#define BERTH_UNARY(Name, instruction, prefix)        \
  struct Name {                                       \
    template <class T>                                \
    static T apply(std::uint64_t& flags, T a) {       \
      std::uint16_t result;                           \
      asm(prefix instruction " %0\n lahf\n seto %%al" \
          : "+q"(a), "=&a"(result)                    \
          : "r"(static_cast<std::uint32_t>(flags))    \
          : "cc");                                    \
      flags = result;                                 \
      return a;                                       \
    }                                                 \
  }

BERTH_BINARY(Add, "add", "", true);
BERTH_BINARY(Or, "or", "", true);
BERTH_BINARY(Adc, "adc", "bt $8, %3\n ", true);
BERTH_BINARY(Sbb, "sbb", "bt $8, %3\n ", true);
BERTH_BINARY(And, "and", "", true);
BERTH_BINARY(Sub, "sub", "", true);
BERTH_BINARY(Xor, "xor", "", true);
BERTH_BINARY(Cmp, "cmp", "", false);
BERTH_BINARY(Test, "test", "", false);
BERTH_UNARY(Inc, "inc", "bt $8, %2\n ");
BERTH_UNARY(Dec, "dec", "bt $8, %2\n ");
BERTH_UNARY(Neg, "neg", "");
struct Not {
  template <class T>
  static T apply(std::uint64_t&, T a) {
    return static_cast<T>(~a);
  }
};

template <class Alu, class T>
inline void apply_to_register(Cpu& cpu, const Op* op, T operand) {
  const T result = Alu::template apply<T>(cpu.native.flags, get<T>(cpu, op->dst), operand);
  if constexpr (Alu::kStores) set<T>(cpu, op->dst, result);
}
template <class Alu, class T>
inline void apply_to_memory(Cpu& cpu, const Op* op, T operand) {
  if constexpr (Alu::kStores) {
    modify<T>(cpu, op,
              [operand](T a, std::uint64_t& flags) { return Alu::template apply<T>(flags, a, operand); });
  } else {
    const T a = load<T>(cpu, operand_address(cpu, op, sizeof(T), false));
    Alu::template apply<T>(cpu.native.flags, a, operand);
  }
}

template <class Alu, class T>
const Op* register_register(Cpu& cpu, const Op* op) {
  apply_to_register<Alu, T>(cpu, op, get<T>(cpu, op->src));
  return op + 1;
}
template <class Alu, class T>
const Op* register_immediate(Cpu& cpu, const Op* op) {
  apply_to_register<Alu, T>(cpu, op, static_cast<T>(op->immediate));
  return op + 1;
}
template <class Alu, class T>
const Op* register_memory(Cpu& cpu, const Op* op) {
  apply_to_register<Alu, T>(cpu, op, load<T>(cpu, operand_address(cpu, op, sizeof(T), false)));
  return op + 1;
}
template <class Alu, class T>
const Op* memory_register(Cpu& cpu, const Op* op) {
  apply_to_memory<Alu, T>(cpu, op, get<T>(cpu, op->src));
  return op + 1;
}
template <class Alu, class T>
const Op* memory_immediate(Cpu& cpu, const Op* op) {
  apply_to_memory<Alu, T>(cpu, op, static_cast<T>(op->immediate));
  return op + 1;
}
template <class Alu, class T>
const Op* unary_register(Cpu& cpu, const Op* op) {
  set<T>(cpu, op->dst, Alu::template apply<T>(cpu.native.flags, get<T>(cpu, op->dst)));
  return op + 1;
}
template <class Alu, class T>
const Op* unary_memory(Cpu& cpu, const Op* op) {
  modify<T>(cpu, op, [](T a, std::uint64_t& flags) { return Alu::template apply<T>(flags, a); });
  return op + 1;
}

template <class Alu, class T>
Handler pick_form(const Decoded& decoded) {
  if (decoded.is_memory(0))
    return decoded.is_immediate(1) ? memory_immediate<Alu, T> : memory_register<Alu, T>;
  if (decoded.is_memory(1)) return register_memory<Alu, T>;
  return decoded.is_immediate(1) ? register_immediate<Alu, T> : register_register<Alu, T>;
}
template <class Alu>
Handler binary(const Decoded& decoded) {
  switch (decoded.bytes(0)) {
    case 1:
      return pick_form<Alu, std::uint8_t>(decoded);
    case 2:
      return pick_form<Alu, std::uint16_t>(decoded);
    case 4:
      return pick_form<Alu, std::uint32_t>(decoded);
    default:
      return pick_form<Alu, std::uint64_t>(decoded);
  }
}
template <class Alu, class T>
Handler pick_unary(const Decoded& decoded) {
  return decoded.is_memory(0) ? unary_memory<Alu, T> : unary_register<Alu, T>;
}
template <class Alu>
Handler unary(const Decoded& decoded) {
  switch (decoded.bytes(0)) {
    case 1:
      return pick_unary<Alu, std::uint8_t>(decoded);
    case 2:
      return pick_unary<Alu, std::uint16_t>(decoded);
    case 4:
      return pick_unary<Alu, std::uint32_t>(decoded);
    default:
      return pick_unary<Alu, std::uint64_t>(decoded);
  }
}

}  // namespace

Handler select_arithmetic(const Decoded& decoded, Op&) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_ADD:
      return binary<Add>(decoded);
    case ZYDIS_MNEMONIC_OR:
      return binary<Or>(decoded);
    case ZYDIS_MNEMONIC_ADC:
      return binary<Adc>(decoded);
    case ZYDIS_MNEMONIC_SBB:
      return binary<Sbb>(decoded);
    case ZYDIS_MNEMONIC_AND:
      return binary<And>(decoded);
    case ZYDIS_MNEMONIC_SUB:
      return binary<Sub>(decoded);
    case ZYDIS_MNEMONIC_XOR:
      return binary<Xor>(decoded);
    case ZYDIS_MNEMONIC_CMP:
      return binary<Cmp>(decoded);
    case ZYDIS_MNEMONIC_TEST:
      return binary<Test>(decoded);
    case ZYDIS_MNEMONIC_INC:
      return unary<Inc>(decoded);
    case ZYDIS_MNEMONIC_DEC:
      return unary<Dec>(decoded);
    case ZYDIS_MNEMONIC_NEG:
      return unary<Neg>(decoded);
    case ZYDIS_MNEMONIC_NOT:
      return unary<Not>(decoded);
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

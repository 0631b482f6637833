// String instructions. Under REP each round is complete in itself: registers are up to date, so a fault, an
// interrupt or a device's answer may come between any two. Long runs within pages go by memmove and fill.
#include <algorithm>

#include "engine/soft/access.hpp"
#include "engine/soft/condition.hpp"
#include "engine/soft/decoded.hpp"
#include "engine/soft/port_check.hpp"

namespace berth::engine::soft {
namespace {

using x86::Gpr;

constexpr unsigned kEs = static_cast<unsigned>(x86::SegmentName::Es);

std::uint64_t width_mask(const Op* op) {
  return op->address_bytes == 2 ? 0xffff : op->address_bytes == 4 ? 0xffffffff : ~std::uint64_t{0};
}

std::uint64_t source(Cpu& cpu, const Op* op, unsigned bytes) {
  return segment_address(cpu, op->segment, cpu.reg(Gpr::Rsi) & width_mask(op), bytes, false);
}
std::uint64_t destination(Cpu& cpu, const Op* op, unsigned bytes, bool write) {
  const unsigned segment = cpu.is_64bit() ? kFlatSegment : kEs;
  return segment_address(cpu, segment, cpu.reg(Gpr::Rdi) & width_mask(op), bytes, write);
}

void advance(Cpu& cpu, const Op* op, Gpr name, std::uint64_t bytes) {
  const bool down = (cpu.system_flags & x86::rflags::kDf) != 0;
  const std::uint64_t value = get<std::uint64_t>(cpu, offset_of(name)) + (down ? 0 - bytes : bytes);
  set_bytes(cpu, offset_of(name), op->address_bytes, value);
}

template <class T>
void compare(Cpu& cpu, T a, T b) {
  std::uint16_t packed;
  asm("cmp %2, %1\n lahf\n seto %%al" : "=&a"(packed) : "q"(a), "q"(b) : "cc");
  cpu.native.flags = packed;
}

// Each does one round and gives whether ZF allows another (REPE and REPNE).
template <class T>
struct Movs {
  static bool round(Cpu& cpu, const Op* op) {
    const T value = load<T>(cpu, source(cpu, op, sizeof(T)));
    store<T>(cpu, destination(cpu, op, sizeof(T), true), value);
    advance(cpu, op, Gpr::Rsi, sizeof(T));
    advance(cpu, op, Gpr::Rdi, sizeof(T));
    return true;
  }
};
template <class T>
struct Stos {
  static bool round(Cpu& cpu, const Op* op) {
    store<T>(cpu, destination(cpu, op, sizeof(T), true), get<T>(cpu, offset_of(Gpr::Rax)));
    advance(cpu, op, Gpr::Rdi, sizeof(T));
    return true;
  }
};
template <class T>
struct Lods {
  static bool round(Cpu& cpu, const Op* op) {
    set<T>(cpu, offset_of(Gpr::Rax), load<T>(cpu, source(cpu, op, sizeof(T))));
    advance(cpu, op, Gpr::Rsi, sizeof(T));
    return true;
  }
};
bool may_repeat(const Cpu& cpu, const Op* op) {
  const bool equal = (cpu.native.flags & kFlagZf) != 0;
  return equal != op->has(Op::kRepne);
}
template <class T>
struct Cmps {
  static bool round(Cpu& cpu, const Op* op) {
    const T first = load<T>(cpu, source(cpu, op, sizeof(T)));
    const T second = load<T>(cpu, destination(cpu, op, sizeof(T), false));
    compare(cpu, first, second);
    advance(cpu, op, Gpr::Rsi, sizeof(T));
    advance(cpu, op, Gpr::Rdi, sizeof(T));
    return may_repeat(cpu, op);
  }
};
template <class T>
struct Scas {
  static bool round(Cpu& cpu, const Op* op) {
    compare(cpu, get<T>(cpu, offset_of(Gpr::Rax)), load<T>(cpu, destination(cpu, op, sizeof(T), false)));
    advance(cpu, op, Gpr::Rdi, sizeof(T));
    return may_repeat(cpu, op);
  }
};
template <class T>
struct Ins {
  static bool round(Cpu& cpu, const Op* op) {
    const auto port = get<std::uint16_t>(cpu, offset_of(Gpr::Rdx));
    check_port(cpu, port, sizeof(T));
    const std::uint64_t linear = destination(cpu, op, sizeof(T), true);
    check_store(cpu, linear, sizeof(T));
    store(cpu, linear, static_cast<T>(read_port(cpu, port, sizeof(T))));
    advance(cpu, op, Gpr::Rdi, sizeof(T));
    return true;
  }
};
template <class T>
struct Outs {
  static bool round(Cpu& cpu, const Op* op) {
    const auto port = get<std::uint16_t>(cpu, offset_of(Gpr::Rdx));
    check_port(cpu, port, sizeof(T));
    const std::uint64_t value = load<T>(cpu, source(cpu, op, sizeof(T)));
    write_port(cpu, port, sizeof(T), static_cast<std::uint32_t>(value));
    advance(cpu, op, Gpr::Rsi, sizeof(T));
    return true;
  }
};

// How many rounds can be made at once from here: upwards, flat, and neither operand leaving its page.
std::uint64_t rounds_in_page(std::uint64_t linear, unsigned bytes) {
  return (4096 - (linear & 4095)) / bytes;
}

template <class T>
std::uint64_t bulk_move(Cpu& cpu, const Op* op, std::uint64_t count) {
  const std::uint64_t from = source(cpu, op, sizeof(T));
  const std::uint64_t to = destination(cpu, op, sizeof(T), true);
  const std::uint64_t rounds =
      std::min({count, rounds_in_page(from, sizeof(T)), rounds_in_page(to, sizeof(T))});
  const std::byte* in = readable<sizeof(T)>(cpu, from);
  std::byte* out = writable<sizeof(T)>(cpu, to);
  const std::uint64_t bytes = rounds * sizeof(T);
  // A destination a little above the source repeats a pattern: round by round then.
  if (rounds < 2 || in == nullptr || out == nullptr || (out > in && out < in + bytes)) return 0;
  std::memmove(out, in, bytes);
  advance(cpu, op, Gpr::Rsi, bytes);
  advance(cpu, op, Gpr::Rdi, bytes);
  return rounds;
}
template <class T>
std::uint64_t bulk_fill(Cpu& cpu, const Op* op, std::uint64_t count) {
  const std::uint64_t to = destination(cpu, op, sizeof(T), true);
  const std::uint64_t rounds = std::min(count, rounds_in_page(to, sizeof(T)));
  std::byte* out = writable<sizeof(T)>(cpu, to);
  if (rounds < 2 || out == nullptr) return 0;
  const T value = get<T>(cpu, offset_of(Gpr::Rax));
  for (std::uint64_t i = 0; i < rounds; ++i) std::memcpy(out + i * sizeof(T), &value, sizeof value);
  advance(cpu, op, Gpr::Rdi, rounds * sizeof(T));
  return rounds;
}
template <class T>
std::uint64_t bulk(Cpu&, const Op*, std::uint64_t, ...) {
  return 0;
}
template <class T>
std::uint64_t bulk(Cpu& cpu, const Op* op, std::uint64_t count, Movs<T>*) {
  return bulk_move<T>(cpu, op, count);
}
template <class T>
std::uint64_t bulk(Cpu& cpu, const Op* op, std::uint64_t count, Stos<T>*) {
  return bulk_fill<T>(cpu, op, count);
}

template <class Round>
const Op* once(Cpu& cpu, const Op* op) {
  Round::round(cpu, op);
  return op + 1;
}

// Leaves between two rounds where something wants attention; the instruction then goes on from the registers
// it left.
template <template <class> class Round, class T>
const Op* repeat(Cpu& cpu, const Op* op) {
  const std::uint64_t mask = width_mask(op);
  const bool wide = cpu.is_64bit() && op->address_bytes == 8 && (cpu.system_flags & x86::rflags::kDf) == 0 &&
                    !cpu.debugging;
  for (;;) {
    const std::uint64_t count = cpu.reg(Gpr::Rcx) & mask;
    if (count == 0) return op + 1;
    std::uint64_t done = wide ? bulk<T>(cpu, op, count, static_cast<Round<T>*>(nullptr)) : 0;
    bool more = true;
    if (done == 0) {
      more = Round<T>::round(cpu, op);
      done = 1;
    }
    set_bytes(cpu, offset_of(Gpr::Rcx), op->address_bytes, count - done);
    cpu.io.clear();
    if (!more) return op + 1;
    if (count != done && cpu.attention.load(std::memory_order_relaxed) != 0) break;
  }
  cpu.rip_base() = cpu.rip();
  return nullptr;
}

// A port that is not allowed is refused even where there is nothing to do.
template <template <class> class Round, class T>
const Op* repeat_io(Cpu& cpu, const Op* op) {
  check_port(cpu, static_cast<std::uint16_t>(cpu.reg(Gpr::Rdx)), sizeof(T));
  return repeat<Round, T>(cpu, op);
}

template <class T>
constexpr bool kIsIo = false;
template <class T>
constexpr bool kIsIo<Ins<T>> = true;
template <class T>
constexpr bool kIsIo<Outs<T>> = true;

template <template <class> class Round, class T>
Handler pick(const Op& op) {
  if (!op.has(Op::kRep) && !op.has(Op::kRepne)) return once<Round<T>>;
  return kIsIo<Round<T>> ? repeat_io<Round, T> : repeat<Round, T>;
}
template <template <class> class Round>
Handler by_size(const Op& op) {
  switch (op.operand_bytes) {
    case 1:
      return pick<Round, std::uint8_t>(op);
    case 2:
      return pick<Round, std::uint16_t>(op);
    case 4:
      return pick<Round, std::uint32_t>(op);
    default:
      return pick<Round, std::uint64_t>(op);
  }
}

}  // namespace

Handler select_string(const Decoded& decoded, Op& op) {
  const ZydisInstructionCategory category = decoded.instruction.meta.category;
  const bool io = category == ZYDIS_CATEGORY_IOSTRINGOP;
  if (category != ZYDIS_CATEGORY_STRINGOP && !io) return nullptr;
  op.operand_bytes = static_cast<std::uint8_t>(decoded.instruction.operand_width / 8);
  const std::uint8_t opcode = decoded.instruction.opcode;
  switch (opcode & 0xfe) {
    case 0x6c:
      return by_size<Ins>(op);
    case 0x6e:
      return by_size<Outs>(op);
    case 0xa4:
      return by_size<Movs>(op);
    case 0xa6:
      return by_size<Cmps>(op);
    case 0xaa:
      return by_size<Stos>(op);
    case 0xac:
      return by_size<Lods>(op);
    case 0xae:
      return by_size<Scas>(op);
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

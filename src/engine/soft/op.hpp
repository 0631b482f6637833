// A decoded instruction: the function that executes it, and its operands in the form that function wants.
#pragma once

#include <cstddef>
#include <cstdint>

namespace berth::engine::soft {

struct Cpu;
struct Op;
struct Block;
struct NativeCode;

// Executes `op` and gives the next one; null where the block ends and NativeContext::rip_base() holds the
// next RIP.
using Handler = const Op* (*)(Cpu& cpu, const Op* op);

// Operands are named by their byte offset in the array of general registers, so AH is 1 and RCX is 8.
inline constexpr std::uint8_t kZeroRegister = 16 * 8;  // reads 0: the base or index that is not there
inline constexpr std::uint8_t kRipRegister = 17 * 8;   // RIP of the block's first instruction

// Op::segment, beyond the six of x86::SegmentName: 64-bit mode's flat data and stack.
inline constexpr std::uint8_t kFlatSegment = 6, kFlatStackSegment = 7;

struct Op {
  enum Flag : std::uint8_t {
    kMemory = 1,  // has an operand in memory
    kSlowAddress =
        2,  // the address is masked or checked against a segment: legacy modes, and 32-bit addresses
    kImmediate = 4,
    kLock = 8,
    kRep = 16,  // REP or REPE
    kRepne = 32,
    kAlone = 64,  // no look into the TLB of this one serves those behind it: it has failed too often
    kRoams = 128  // its page changes too often to be remembered
  };

  Handler run = nullptr;
  std::uint8_t dst = 0, src = 0;
  std::uint8_t base = kZeroRegister, index = kZeroRegister;
  std::uint8_t scale = 0;  // as a shift
  std::uint8_t segment = kFlatSegment;
  std::uint8_t flags = 0;
  std::uint8_t length = 0;
  std::int32_t displacement = 0;  // of jumps: the target, from the block's first byte
  std::uint16_t offset = 0;       // of this instruction, from the block's first byte
  std::uint8_t operand_bytes = 0, address_bytes = 0;
  union {
    std::uint64_t immediate = 0;
    mutable const Op* link;  // of jumps within their page: where they lead, once found
    const NativeCode* native;
    Block* block;  // of a block's first op, which counts and enters translated code
  };

  bool has(Flag flag) const { return (flags & flag) != 0; }
};
static_assert(sizeof(Op) == 32, "two to a cache line");

}  // namespace berth::engine::soft

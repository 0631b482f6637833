// What the translator knows of an instruction before it writes any code.
#pragma once

#include <vector>

#include "engine/soft/block_translator.hpp"
#include "engine/soft/decoded.hpp"
#include "engine/soft/flag_use.hpp"

namespace berth::engine::soft {

enum class Way : std::uint8_t {
  Op,    // its Op executes it
  Copy,  // as it is, with registers and the memory operand put elsewhere
  Skip,  // a hint
  Lea,
  Divide,
  Push,
  Pop,
  Leave,
  Jump,
  JumpIf,
  JumpIndirect,
  Call,
  CallIndirect,
  Return,
};

// Several accesses of a block by the same register look into the TLB once, for all bytes between them: the
// first leads and the others follow (access_groups.cpp).
struct AccessGroup {
  enum class Role : std::uint8_t { Alone, Leads, Follows };
  Role role = Role::Alone;
  unsigned slot = 0;        // of CodeContext::addends
  std::int32_t low = 0;     // from the leader's operand to the first byte
  std::uint32_t bytes = 0;  // from there
  bool write = false;       // any of them
  std::int32_t moves = 0;   // what the leader itself adds to the register
};

struct GuestInstruction {
  Decoded decoded;
  const Op* op = nullptr;  // the first of its ops
  const std::byte* bytes = nullptr;
  Way way = Way::Op;
  bool uses_vectors = false;
  std::uint8_t alignment = 1;  // of the memory operand
  AccessGroup group;
  FlagUse flags;
  std::uint32_t live_before = 0, live_after = 0;  // flags

  // Flags that it needs in place: those it reads, and where it writes, those that it leaves alone.
  bool needs_flags() const {
    return flags.reads != 0 || (flags.writes != 0 && (live_after & ~flags.replaces) != 0);
  }
  // The operand in memory, or null.
  const ZydisDecodedOperand* memory() const;
};

// Whether an operand is written.
inline bool is_written(const ZydisDecodedOperand& operand) {
  return (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
}

// Finds which accesses can share a look into the TLB.
void group_accesses(std::vector<GuestInstruction>& instructions);

// The block's instructions, each with its way, and the flags live around it. What `instructions` has is
// forgotten; its memory is used again, as each takes a kilobyte.
void read_block(const TranslationJob& job, std::vector<GuestInstruction>& instructions);

}  // namespace berth::engine::soft

// The sixteen conditions of Jcc, SETcc and CMOVcc, in the order of their encoding, on NativeContext::flags.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>

namespace berth::engine::soft {

inline constexpr std::uint64_t kFlagOf = 1, kFlagCf = 1 << 8, kFlagPf = 1 << 10, kFlagAf = 1 << 12,
                               kFlagZf = 1 << 14, kFlagSf = 1 << 15;

template <unsigned Condition>
inline bool holds(std::uint64_t flags) {
  constexpr unsigned kind = Condition / 2;
  bool result = false;
  if constexpr (kind == 0) result = (flags & kFlagOf) != 0;
  if constexpr (kind == 1) result = (flags & kFlagCf) != 0;
  if constexpr (kind == 2) result = (flags & kFlagZf) != 0;
  if constexpr (kind == 3) result = (flags & (kFlagCf | kFlagZf)) != 0;
  if constexpr (kind == 4) result = (flags & kFlagSf) != 0;
  if constexpr (kind == 5) result = (flags & kFlagPf) != 0;
  if constexpr (kind == 6) result = ((flags >> 15 ^ flags) & 1) != 0;
  if constexpr (kind == 7) result = ((flags >> 15 ^ flags) & 1) != 0 || (flags & kFlagZf) != 0;
  return result != (Condition % 2 != 0);
}

// The number of the condition in a conditional instruction's opcode.
inline unsigned condition_of(const ZydisDecodedInstruction& instruction) { return instruction.opcode & 15; }

}  // namespace berth::engine::soft

// Which of the arithmetic flags instructions read and write, so that only live ones are kept.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>

namespace berth::engine::soft {

struct FlagUse {
  std::uint32_t reads = 0;     // as RFLAGS has them
  std::uint32_t writes = 0;    // perhaps
  std::uint32_t replaces = 0;  // whatever they were
};

// Flags that the manuals leave undefined count as written, and as replaced by those instructions alone that
// every processor has write them.
FlagUse flag_use(const ZydisDecodedInstruction& instruction);

}  // namespace berth::engine::soft

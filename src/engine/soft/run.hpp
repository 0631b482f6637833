// Finding the code to execute next.
#pragma once

#include "engine/soft/block_cache.hpp"
#include "engine/soft/cpu.hpp"

namespace berth::engine::soft {

// The block at rip_base(), decoded if need be. Raises what fetching it raises. `kind_bits`:
// block_kind::kSingle or 0.
Block* find_block(Cpu& cpu, std::uint32_t kind_bits);

// What other threads have told of memory.
void take_memory_news(Cpu& cpu);

// Raises #GP(0) where a near branch may not go to `target`.
inline void check_branch_target(Cpu& cpu, std::uint64_t target) {
  if (cpu.is_64bit() ? !x86::is_canonical(target) : target > cpu.segment(x86::SegmentName::Cs).limit)
    raise(cpu, x86::Vector::Gp);
}

// Goes on at `target`, which has been checked, in whatever block is there.
inline const Op* go_to(Cpu& cpu, std::uint64_t target) {
  cpu.rip_base() = target;
  if (cpu.attention.load(std::memory_order_relaxed) != 0) [[unlikely]]
    return nullptr;
  cpu.current = &kIdleOp;
  return find_block(cpu, 0)->ops;
}

// The end of a block whose last instruction does not branch; in single blocks the run loop takes over.
const Op* continue_behind(Cpu& cpu, const Op* op);
const Op* stop_behind(Cpu& cpu, const Op* op);
// What the instructions of a block that is no more have become.
const Op* resume_elsewhere(Cpu& cpu, const Op* op);
// The first op of a block that may be translated: has it translated once it has been executed often.
const Op* count_or_enter(Cpu& cpu, const Op* op);

}  // namespace berth::engine::soft

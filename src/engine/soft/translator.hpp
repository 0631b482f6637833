// Blocks as code of the host's own (docs/decisions/0011): most instructions as they are, their memory
// operands behind a look into the TLB. Whatever is not translated is executed by its Op, in the middle of the
// code.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>
#include <vector>

#include "engine/soft/block_cache.hpp"
#include "engine/soft/code_stubs.hpp"
#include "engine/soft/tiers.hpp"
#include "sys/code_memory.hpp"

namespace berth::engine::soft {

// Where a block is left for code that is not known yet.
struct CodeExit {
  static constexpr std::size_t kNone = ~std::size_t{0};
  std::int32_t target = 0;  // from the start of the page
  std::size_t patch =
      kNone;  // of a branch's distance in the code memory, to be aimed at the target once known
  bool flags_in_context = false;  // of that branch
};

class Translator {
 public:
  static Result<Translator> create(Tiers tiers);

  // Whether a block that has been executed so often is to be translated.
  bool wants(unsigned uses) const;
  bool is_full() const;
  // All code, and the slots that belong to it.
  void clear(PageSlots& slots);
  // The units barred and the exceptions unmasked that all code here was made for.
  static std::uint32_t rules_of(const Cpu& cpu) {
    return cpu.barred_units | (cpu.sse_unmasked ? 0x100u : 0u);
  }
  bool obeys(std::uint32_t rules) const { return exits_.empty() || rules_ == rules; }

  // Makes the block's code. There is room for it: is_full() said so.
  void translate(Cpu& cpu, Block& block);
  // Executes translated code until it leads out; gives the op to go on with, or null.
  const Op* enter(Cpu& cpu, const Block& block);

  const CodeStubs& stubs() const { return stubs_; }
  const CodeExit& exit(std::uint64_t number) const { return exits_[number]; }
  void connect(const CodeExit& exit, const Block& target);

 private:
  void lead(std::byte* old_head, const std::byte* code);
  Translator(sys::CodeMemory memory, Tiers tiers);

  sys::CodeMemory memory_;
  Tiers tiers_;
  ZydisDecoder decoder_{};
  CodeStubs stubs_;
  std::size_t first_ = 0, used_ = 0;
  std::size_t slots_at_ = 0;  // below the end: those that code uses
  std::uint32_t rules_ = 0;
  std::vector<CodeExit> exits_;
};

}  // namespace berth::engine::soft

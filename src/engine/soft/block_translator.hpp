// From one block's instructions to host code.
#pragma once

#include <span>

#include "engine/soft/translator.hpp"

namespace berth::engine::soft {

struct TranslationJob {
  Block* block = nullptr;
  std::span<const std::byte> bytes;  // the guest's code
  const ZydisDecoder* decoder = nullptr;
  const CodeStubs* stubs = nullptr;
  std::vector<CodeExit>* exits = nullptr;
  std::byte** slots = nullptr;  // PageSlots are made below
  std::size_t code_start = 0;   // of `code`, in the code memory
  std::uint32_t rules = 0;
};

// Writes the code and enters it into the block.
void translate_block(const TranslationJob& job, HostCode& code);

}  // namespace berth::engine::soft

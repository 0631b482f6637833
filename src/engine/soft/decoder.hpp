// From bytes to blocks.
#pragma once

#include "engine/soft/block_cache.hpp"
#include "engine/soft/native_code.hpp"
#include "engine/soft/translator.hpp"

namespace berth::engine::soft {

// Where a block is decoded from. `bytes` may reach into a second page, whose physical address is then known.
struct CodeWindow {
  const std::byte* bytes = nullptr;
  std::size_t size = 0;  // up to the page's end, or to the end of a second page's first bytes
  std::uint64_t physical = 0;
  std::uint64_t second_page = Block::kNoPage;
  std::uint64_t rip = 0;
  std::uint32_t kind = 0;
};

enum class DecodeOutcome : std::uint8_t {
  Done,
  Short,  // the first instruction goes on behind the window
};

class Decoder {
 public:
  static Result<Decoder> create();

  // Empties the caches where one of them is full. Before each block.
  void make_room(BlockCache& cache, Translator& translator, PageSlots& slots);
  // Decodes a block into the cache. `block` is null for Short.
  DecodeOutcome decode(BlockCache& cache, const CodeWindow& window, Block*& block);

 private:
  explicit Decoder(NativeCodeCache natives);
  NativeCodeCache natives_;
  std::array<ZydisDecoder, 3> decoders_{};  // by OperatingMode
};

}  // namespace berth::engine::soft

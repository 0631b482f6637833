// Decoded code, kept by guest-physical address: blocks of instructions that follow one another within a page.
// A store to the bytes of a block kills it: its instructions become ones that look the code up again, so a
// block may even change itself.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/soft/cpu.hpp"
#include "engine/soft/processors.hpp"

namespace berth::engine::soft {

// What, beside the bytes, decides how they decode and run.
namespace block_kind {
inline constexpr std::uint32_t kMode = 3;     // OperatingMode
inline constexpr std::uint32_t kLimited = 4;  // CS ends below 4 GiB: its limit is checked at each block
inline constexpr std::uint32_t kSingle = 8;   // one instruction
inline constexpr unsigned kTlbShift = 4;      // Cpu::tlb_index(), of blocks that may be translated
}  // namespace block_kind

struct Block {
  static constexpr std::uint64_t kNoPage = ~std::uint64_t{0};

  std::uint64_t physical = 0;           // of the first byte
  std::uint64_t second_page = kNoPage;  // physical page of the rest, of an instruction that lies in two
  Block* next = nullptr;                // in the bucket
  Op* ops = nullptr;
  std::uint32_t kind = 0;
  std::uint16_t bytes = 0;
  std::uint16_t count = 0;  // of ops
  bool dead = false;
  std::uint32_t uses = 0;      // times that the interpreter has executed it
  std::uint32_t failures = 0;  // of translated code to get behind a shared look into the TLB

  // Translated code, null where there is none. It may be entered with the flags in the host's, or in the
  // context. `head` is where to write a jump that makes the code lead out again: 5 bytes, ending in `out`.
  const std::byte* code = nullptr;
  const std::byte* code_loading_flags = nullptr;
  std::byte* head = nullptr;
  std::int32_t out = 0;

  // Makes its code lead out again.
  void close() const;
  bool is_translatable() const { return (kind & (kSingleOrMode)) == kTranslatable && second_page == kNoPage; }

 private:
  static constexpr std::uint32_t kSingleOrMode = block_kind::kSingle | block_kind::kMode;
  static constexpr auto kTranslatable = static_cast<std::uint32_t>(OperatingMode::Bits64);
};

class BlockCache {
 public:
  static constexpr std::size_t kMostOps = 256;  // of a block

  // `self` of `processors`: whose cache this is.
  BlockCache(const guest::GuestMemory& memory, Processors& processors, unsigned self);
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;
  ~BlockCache();

  Block* find(std::uint64_t physical, std::uint32_t kind) const {
    for (Block* block = buckets_[bucket(physical, kind)]; block != nullptr; block = block->next) {
      if (block->physical == physical && block->kind == kind) return block;
    }
    return nullptr;
  }
  // Whether there is no room for one more block.
  bool is_full() const { return op_count_ + kMostOps > kOps || block_count_ == kBlocks; }
  // Copies `ops`, kMostOps at most, into the cache, which is not full and has claimed the block's pages.
  Block* insert(const Block& block, const Op* ops);
  // Changes whenever all blocks have gone, and pointers to them with them.
  std::uint64_t generation() const { return generation_; }
  void clear();

  // To be called before (or after) any store to RAM that does not go by the TLB's fast path.
  void memory_written(std::uint64_t physical, std::uint64_t bytes) {
    if (((physical + bytes - 1) ^ physical) < 4096 && (lines(physical) & line_mask(physical, bytes)) == 0)
      return;
    kill_range(physical, bytes);
  }
  // Stores to the page, by whomever, take the slow path from now on, and are told here. Before its code is
  // read. Holds until the page's last block has gone.
  void claim(std::uint64_t page, const std::function<void()>& meanwhile) {
    processors_.claim(self_, page, meanwhile);
  }
  bool has_claimed(std::uint64_t page) const { return processors_.pages().has(page, self_); }
  // Whether a store to the page must be told to somebody.
  bool is_watched(std::uint64_t physical) const { return processors_.pages().any(physical); }
  // To be called after a store for which is_watched() holds.
  void tell_written(std::uint64_t physical, std::uint64_t bytes) {
    processors_.wrote(self_, physical, bytes);
  }

 private:
  static constexpr std::size_t kBuckets = 1 << 15;
  static constexpr std::size_t kOps = 1 << 20;  // 32 MiB
  static constexpr std::size_t kBlocks = 1 << 18;

  static std::size_t bucket(std::uint64_t physical, std::uint32_t kind) {
    return ((physical ^ (physical >> 13)) + kind * 0x9e37) % kBuckets;
  }
  // 64 lines of 64 bytes to a page.
  static std::uint64_t line_mask(std::uint64_t physical, std::uint64_t bytes) {
    const unsigned first = static_cast<unsigned>(physical >> 6) & 63;
    const unsigned last = static_cast<unsigned>((physical + bytes - 1) >> 6) & 63;
    return (~std::uint64_t{0} << first) & (~std::uint64_t{0} >> (63 - last));
  }
  std::uint64_t lines(std::uint64_t physical) const {
    const auto found = ram_.index(physical);
    return found < ram_.count() ? lines_[found] : 0;
  }
  void kill_range(std::uint64_t physical, std::uint64_t bytes);
  void kill_in_page(std::uint64_t page, std::uint64_t first, std::uint64_t last);
  void unlink(Block* block);
  void note_page(std::uint64_t page, Block* block, std::uint64_t from, std::uint64_t bytes);

  std::unique_ptr<Block*[]> buckets_;
  Op* ops_ = nullptr;
  Block* blocks_ = nullptr;
  std::size_t op_count_ = 0, block_count_ = 0;
  std::uint64_t generation_ = 0;
  std::unordered_map<std::uint64_t, std::vector<Block*>> pages_;
  std::uint64_t* lines_ = nullptr;  // by page of RAM
  RamPages ram_;
  Processors& processors_;
  unsigned self_;
};

}  // namespace berth::engine::soft

#include "engine/soft/block_cache.hpp"

#include <algorithm>
#include <cstdlib>

#include "engine/soft/run.hpp"

namespace berth::engine::soft {
namespace {

// Zeroed memory that costs nothing until it is touched.
template <class T>
T* allocate(std::size_t count) {
  T* memory = static_cast<T*>(std::calloc(count, sizeof(T)));
  BERTH_ASSERT(memory != nullptr);
  return memory;
}

}  // namespace

BlockCache::BlockCache(const guest::GuestMemory& memory, Processors& processors, unsigned self)
    : buckets_(new Block*[kBuckets]()),
      ops_(allocate<Op>(kOps)),
      blocks_(allocate<Block>(kBlocks)),
      lines_(allocate<std::uint64_t>(memory.bytes() >> 12)),
      ram_(memory),
      processors_(processors),
      self_(self) {}

BlockCache::~BlockCache() {
  std::free(ops_);
  std::free(blocks_);
  std::free(lines_);
}

void BlockCache::clear() {
  std::fill_n(buckets_.get(), kBuckets, nullptr);
  for (const auto& [page, blocks] : pages_) {
    lines_[ram_.index(page)] = 0;
    processors_.pages().remove(page, self_);
  }
  pages_.clear();
  op_count_ = block_count_ = 0;
  ++generation_;
}

void Block::close() const {
  constexpr std::byte kJump{0xe9};
  *head = kJump;
  std::memcpy(head + 1, &out, sizeof out);
}

Block* BlockCache::insert(const Block& block, const Op* ops) {
  BERTH_ASSERT(!is_full() && block.count <= kMostOps);
  Block* placed = &blocks_[block_count_++];
  *placed = block;
  placed->ops = &ops_[op_count_];
  op_count_ += block.count;
  std::copy_n(ops, block.count, placed->ops);
  if (block.is_translatable()) placed->ops[0].block = placed;
  Block*& head = buckets_[bucket(block.physical, block.kind)];
  placed->next = head;
  head = placed;
  const std::uint64_t page = block.physical & kPageMask;
  const std::uint64_t in_first = std::min<std::uint64_t>(block.bytes, 4096 - (block.physical & 4095));
  note_page(page, placed, block.physical, in_first);
  if (block.second_page != Block::kNoPage)
    note_page(block.second_page, placed, block.second_page, block.bytes - in_first);
  return placed;
}

void BlockCache::note_page(std::uint64_t page, Block* block, std::uint64_t from, std::uint64_t bytes) {
  pages_[page].push_back(block);
  lines_[ram_.index(page)] |= line_mask(from, bytes);
  processors_.pages().add(page, self_);
}

void BlockCache::unlink(Block* block) {
  Block** place = &buckets_[bucket(block->physical, block->kind)];
  while (*place != block) place = &(*place)->next;
  *place = block->next;
  block->dead = true;
  for (unsigned i = 0; i < block->count; ++i) block->ops[i].run = resume_elsewhere;
  if (block->code == nullptr) return;
  block->close();
}

void BlockCache::kill_range(std::uint64_t physical, std::uint64_t bytes) {
  const std::uint64_t end = physical + bytes;
  for (std::uint64_t page = physical & kPageMask; page < end; page += 4096) {
    if (lines(page) != 0) kill_in_page(page, std::max(page, physical), std::min(end, page + 4096) - 1);
  }
}

// The bytes [first, last] lie in `page`.
void BlockCache::kill_in_page(std::uint64_t page, std::uint64_t first, std::uint64_t last) {
  const auto entry = pages_.find(page);
  if (entry == pages_.end()) return;
  std::uint64_t left = 0;
  std::erase_if(entry->second, [&](Block* block) {
    if (block->dead) return true;
    const bool is_second = block->second_page == page;
    const std::uint64_t in_first = std::min<std::uint64_t>(block->bytes, 4096 - (block->physical & 4095));
    const std::uint64_t start = is_second ? page : block->physical;
    const std::uint64_t size = is_second ? block->bytes - in_first : in_first;
    if (first < start + size && start <= last) {
      unlink(block);
      return true;
    }
    left |= line_mask(start, size);
    return false;
  });
  lines_[ram_.index(page)] = left;
  if (!entry->second.empty()) return;
  pages_.erase(entry);
  processors_.pages().remove(page, self_);
}

}  // namespace berth::engine::soft

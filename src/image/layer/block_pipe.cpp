#include "image/layer/block_pipe.hpp"

namespace berth::image {

BlockPipe::BlockPipe()
    : storage_(std::make_unique_for_overwrite<char[]>(kBlocks * kBlockBytes)), sizes_(kBlocks) {}

std::span<char> BlockPipe::acquire() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopped_ || written_ - released_ < kBlocks; });
  return stopped_ ? std::span<char>{} : block(written_);
}

void BlockPipe::commit(std::size_t size) {
  const std::lock_guard lock(mutex_);
  sizes_[written_ % kBlocks] = size;
  ++written_;
  changed_.notify_all();
}

void BlockPipe::finish(Result<void> outcome) {
  const std::lock_guard lock(mutex_);
  outcome_ = std::move(outcome);
  finished_ = true;
  changed_.notify_all();
}

Result<std::string_view> BlockPipe::read() {
  std::unique_lock lock(mutex_);
  if (holding_) {
    ++released_;
    holding_ = false;
    changed_.notify_all();
  }
  changed_.wait(lock, [this] { return finished_ || written_ > released_; });
  if (written_ > released_) {
    holding_ = true;
    return std::string_view(block(released_).data(), sizes_[released_ % kBlocks]);
  }
  if (!outcome_) return fail(outcome_.error());
  return std::string_view();
}

void BlockPipe::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace berth::image

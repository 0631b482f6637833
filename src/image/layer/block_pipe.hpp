// A bounded hand-over of blocks of bytes from one thread to another, with the errors of either side.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth::image {

// One writer thread, one reader thread; kBlocks blocks of kBlockBytes are all the memory it ever uses.
class BlockPipe {
 public:
  static constexpr std::size_t kBlockBytes = 256 << 10;
  static constexpr std::size_t kBlocks = 16;

  BlockPipe();

  // Writer: the next free block, waiting for the reader; empty once the reader has stopped.
  std::span<char> acquire();
  // Writer: hands over the first `size` bytes of the acquired block.
  void commit(std::size_t size);
  // Writer: no more follows, because of the end or because of an error. The last call.
  void finish(Result<void> outcome);

  // Reader: the next bytes, valid until the next call; empty at the end; the writer's error where it failed.
  Result<std::string_view> read();
  // Reader: wants no more.
  void stop();

 private:
  std::span<char> block(std::size_t number) {
    return {storage_.get() + number % kBlocks * kBlockBytes, kBlockBytes};
  }

  std::unique_ptr<char[]> storage_;  // not zeroed: a small layer touches little of it
  std::vector<std::size_t> sizes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t written_ = 0;   // blocks handed over so far
  std::size_t released_ = 0;  // blocks the reader is done with
  bool holding_ = false;      // the reader looks at block `released_`
  bool finished_ = false;
  bool stopped_ = false;
  Result<void> outcome_;
};

}  // namespace berth::image

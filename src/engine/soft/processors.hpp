// The processors of one machine, as far as they have to know of each other: of stores to code that another
// has cached, and of pages that have become code.
//
// A processor that is about to decode code of a page (claim()) makes the others give up their fast way of
// storing to it, and waits until they have: from then on each store to the page is told. What it decodes may
// be older than a store that is just being made, as on a real processor, but is looked up again once that is
// told.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "engine/soft/code_pages.hpp"

namespace berth::engine::soft {

struct MemoryNews {
  std::uint64_t address = 0;
  std::uint64_t bytes = 0;  // written; 0: another has cached code of this page
};

// What a processor is told by other threads.
class Mailbox {
 public:
  // `attention` is the processor's, to make it look.
  explicit Mailbox(std::atomic<std::uint32_t>& attention) : attention_(attention) {}

  // Any thread. Gives the number of the message.
  std::uint64_t post(const MemoryNews& news);
  // Whether what has that number has been dealt with, or will be before any more of the guest is executed.
  bool is_done(std::uint64_t number) const { return done_ >= number || !running_; }

  // The processor's own thread. take() calls `deal` for each message.
  void set_running(bool running) { running_ = running; }
  void take(const std::function<void(const MemoryNews&)>& deal);

 private:
  std::atomic<std::uint32_t>& attention_;
  std::mutex mutex_;
  std::vector<MemoryNews> news_;
  std::uint64_t posted_ = 0;  // by `mutex_`
  std::atomic<std::uint64_t> done_{0};
  std::atomic<bool> running_{false};
};

class Processors {
 public:
  explicit Processors(const guest::GuestMemory& memory) : pages_(memory) {}

  // Before any of them runs, and after all have ended.
  void add(unsigned index, Mailbox& mailbox) { mailboxes_[index] = &mailbox; }
  void remove(unsigned index) { mailboxes_[index] = nullptr; }

  CodePages& pages() { return pages_; }
  // `self` has stored to RAM.
  void wrote(unsigned self, std::uint64_t address, std::uint64_t bytes) {
    if (const unsigned others = pages_.others(address, self); others != 0) [[unlikely]]
      tell(others, {address, bytes});
  }
  // `self` is about to cache code of the page. `meanwhile` deals with what others want of it.
  void claim(unsigned self, std::uint64_t page, const std::function<void()>& meanwhile);

 private:
  void tell(unsigned others, const MemoryNews& news);

  CodePages pages_;
  std::array<Mailbox*, CodePages::kMostProcessors> mailboxes_{};
};

}  // namespace berth::engine::soft

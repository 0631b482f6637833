#include "engine/soft/processors.hpp"

#include <thread>

#include "engine/soft/cpu.hpp"

namespace berth::engine::soft {

std::uint64_t Mailbox::post(const MemoryNews& news) {
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    news_.push_back(news);
    number = ++posted_;
  }
  attention_.fetch_or(kAttentionMemory);
  return number;
}

void Mailbox::take(const std::function<void(const MemoryNews&)>& deal) {
  std::vector<MemoryNews> taken;
  std::uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(news_);
    number = posted_;
  }
  for (const MemoryNews& news : taken) deal(news);
  done_ = number;
}

void Processors::tell(unsigned others, const MemoryNews& news) {
  for (unsigned i = 0; i < mailboxes_.size(); ++i) {
    if ((others >> i & 1) != 0 && mailboxes_[i] != nullptr) mailboxes_[i]->post(news);
  }
}

void Processors::claim(unsigned self, std::uint64_t page, const std::function<void()>& meanwhile) {
  pages_.add(page, self);
  std::array<std::uint64_t, CodePages::kMostProcessors> numbers{};
  for (unsigned i = 0; i < mailboxes_.size(); ++i) {
    if (i != self && mailboxes_[i] != nullptr) numbers[i] = mailboxes_[i]->post({page, 0});
  }
  for (unsigned i = 0; i < mailboxes_.size(); ++i) {
    if (i == self || mailboxes_[i] == nullptr) continue;
    while (!mailboxes_[i]->is_done(numbers[i])) {
      meanwhile();
      std::this_thread::yield();
    }
  }
}

}  // namespace berth::engine::soft

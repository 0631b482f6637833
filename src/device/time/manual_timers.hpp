// For tests: time that stands still until told.
#pragma once

#include <map>

#include "device/time/timers.hpp"

namespace berth::device {

class ManualTimers final : public Timers {
 public:
  std::uint64_t now_ns() const override { return now_; }
  std::unique_ptr<Timer> make(std::function<void()> expired) override {
    return std::make_unique<Entry>(*this, std::move(expired));
  }
  // Lets `ns` pass; what falls due in between runs at its time, in order.
  void advance(std::uint64_t ns) {
    const std::uint64_t end = now_ + ns;
    while (!due_.empty() && due_.begin()->first <= end) {
      Entry* entry = due_.begin()->second;
      now_ = std::max(now_, due_.begin()->first);
      entry->disarm();
      entry->expired();
    }
    now_ = end;
  }
  std::size_t armed() const { return due_.size(); }

 private:
  struct Entry final : Timer {
    Entry(ManualTimers& owner, std::function<void()> callback)
        : timers(owner), expired(std::move(callback)) {}
    ~Entry() override { disarm(); }
    void arm(std::uint64_t deadline_ns) override {
      disarm();
      timers.due_.emplace(deadline_ns, this);
    }
    void disarm() override {
      std::erase_if(timers.due_, [this](const auto& item) { return item.second == this; });
    }
    ManualTimers& timers;
    std::function<void()> expired;
  };
  std::uint64_t now_ = 1'000'000;
  std::multimap<std::uint64_t, Entry*> due_;
};

}  // namespace berth::device

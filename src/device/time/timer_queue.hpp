// Timers on the host's monotonic clock, fired by one thread.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "device/time/timers.hpp"

namespace berth::device {

// Outlives all timers made from it.
class TimerQueue final : public Timers {
 public:
  TimerQueue();
  ~TimerQueue() override;
  std::uint64_t now_ns() const override;
  std::unique_ptr<Timer> make(std::function<void()> expired) override;
  // Once it returns no callback runs, and none will.
  void stop();

 private:
  class Entry;
  void run();

  std::mutex mutex_;
  std::condition_variable changed_;           // something is due earlier, or the end
  std::condition_variable fired_;             // a callback has returned
  std::multimap<std::uint64_t, Entry*> due_;  // by deadline
  Entry* firing_ = nullptr;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace berth::device

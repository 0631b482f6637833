#include "device/time/timer_queue.hpp"

#include <algorithm>
#include <chrono>

#include "sys/thread.hpp"

namespace berth::device {

using Clock = std::chrono::steady_clock;

class TimerQueue::Entry final : public Timer {
 public:
  Entry(TimerQueue& queue, std::function<void()> expired) : queue_(queue), expired_(std::move(expired)) {}
  ~Entry() override {
    std::unique_lock lock(queue_.mutex_);
    remove();
    queue_.fired_.wait(lock, [&] { return queue_.firing_ != this; });
  }

  void arm(std::uint64_t deadline_ns) override {
    const std::lock_guard lock(queue_.mutex_);
    remove();
    place_ = queue_.due_.emplace(deadline_ns, this);
    armed_ = true;
    if (place_ == queue_.due_.begin()) queue_.changed_.notify_one();
  }

  void disarm() override {
    const std::lock_guard lock(queue_.mutex_);
    remove();
  }

  void remove() {  // with the queue's lock
    if (armed_) queue_.due_.erase(place_);
    armed_ = false;
  }
  void fire() const { expired_(); }

 private:
  TimerQueue& queue_;
  std::function<void()> expired_;
  std::multimap<std::uint64_t, Entry*>::iterator place_;
  bool armed_ = false;
};

TimerQueue::TimerQueue() : thread_([this] { run(); }) {}

TimerQueue::~TimerQueue() { stop(); }

void TimerQueue::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

std::uint64_t TimerQueue::now_ns() const {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count());
}

std::unique_ptr<Timers::Timer> TimerQueue::make(std::function<void()> expired) {
  return std::make_unique<Entry>(*this, std::move(expired));
}

void TimerQueue::run() {
  sys::set_thread_name("timers");
  sys::set_timer_slack_ns(1);
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (due_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const auto first = due_.begin();
    if (now_ns() < first->first) {
      // Far deadlines are looked at again in a while: a guest may ask for more than the clock's range.
      const std::uint64_t wait_ns = std::min<std::uint64_t>(first->first - now_ns(), 1'000'000'000);
      changed_.wait_until(lock, Clock::now() + std::chrono::nanoseconds(wait_ns));
      continue;
    }
    firing_ = first->second;
    firing_->remove();
    lock.unlock();
    firing_->fire();
    lock.lock();
    firing_ = nullptr;
    fired_.notify_all();
  }
}

}  // namespace berth::device

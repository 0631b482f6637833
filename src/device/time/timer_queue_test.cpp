#include "device/time/timer_queue.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>

namespace berth::device {
namespace {

template <typename Condition>
bool eventually(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return condition();
}

TEST(TimerQueue, FiresInOrderAndNotBeforeItsTime) {
  TimerQueue queue;
  std::mutex mutex;
  std::vector<int> order;
  std::atomic<bool> early{false};
  const std::uint64_t start = queue.now_ns();
  const auto note = [&](int id, std::uint64_t due) {
    if (queue.now_ns() < due) early = true;
    const std::lock_guard lock(mutex);
    order.push_back(id);
  };
  const auto late = queue.make([&] { note(2, start + 20'000'000); });
  const auto soon = queue.make([&] { note(1, start + 5'000'000); });
  late->arm(start + 20'000'000);
  soon->arm(start + 5'000'000);
  EXPECT_TRUE(eventually([&] {
    const std::lock_guard lock(mutex);
    return order.size() == 2;
  }));
  EXPECT_EQ(order, (std::vector{1, 2}));
  EXPECT_FALSE(early);
}

TEST(TimerQueue, NothingFiresOnceStopped) {
  TimerQueue queue;
  std::atomic<bool> began{false}, ended{false}, late{false};
  const auto slow = queue.make([&] {
    began = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ended = true;
  });
  const auto next = queue.make([&] { late = true; });
  slow->arm(queue.now_ns());
  next->arm(queue.now_ns() + 10'000'000);
  ASSERT_TRUE(eventually([&] { return began.load(); }));
  queue.stop();
  EXPECT_TRUE(ended);
  EXPECT_FALSE(late);
}

TEST(TimerQueue, ADisarmedTimerStaysSilent) {
  TimerQueue queue;
  std::atomic<int> fired{0};
  const auto timer = queue.make([&] { ++fired; });
  timer->arm(queue.now_ns() + 20'000'000);
  timer->disarm();
  std::atomic<bool> marker{false};
  const auto other = queue.make([&] { marker = true; });
  other->arm(queue.now_ns() + 40'000'000);
  EXPECT_TRUE(eventually([&] { return marker.load(); }));
  EXPECT_EQ(fired, 0);
}

TEST(TimerQueue, ACallbackMayArmItsOwnTimer) {
  TimerQueue queue;
  std::atomic<int> fired{0};
  std::unique_ptr<Timers::Timer> timer;
  timer = queue.make([&] {
    if (++fired < 5) timer->arm(queue.now_ns());
  });
  timer->arm(0);
  EXPECT_TRUE(eventually([&] { return fired == 5; }));
}

}  // namespace
}  // namespace berth::device

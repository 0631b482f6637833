// Time as devices see it: a clock that never goes back, and timers on it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace berth::device {

class Timers {
 public:
  virtual ~Timers() = default;
  // Nanoseconds since some start; any thread.
  virtual std::uint64_t now_ns() const = 0;

  // One timer. Its callback runs on a thread of the owner's, with no lock of the queue held; it may still run
  // once after disarm() or a later arm() has returned, so it must look at its device's state. Once the
  // destructor has returned it runs no more.
  class Timer {
   public:
    virtual ~Timer() = default;
    virtual void arm(std::uint64_t deadline_ns) = 0;  // any thread; replaces an earlier deadline
    virtual void disarm() = 0;                        // any thread
  };
  virtual std::unique_ptr<Timer> make(std::function<void()> expired) = 0;
};

// Whole ticks of `hz` in `ns` nanoseconds, and nanoseconds (rounded up) in `ticks`; without overflow for any
// argument up to the 64-bit result.
constexpr std::uint64_t ticks_in(std::uint64_t ns, std::uint64_t hz) {
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(ns) * hz / 1'000'000'000);
}
constexpr std::uint64_t ns_of(std::uint64_t ticks, std::uint64_t hz) {
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(ticks) * 1'000'000'000 + hz - 1) / hz);
}

}  // namespace berth::device

// The timer of a local APIC: one-shot, periodic and TSC-deadline (SDM vol. 3, 11.5.4). It counts at 1 GHz
// before the divider.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "device/time/timers.hpp"

namespace berth::device {

inline constexpr std::uint64_t kApicTimerHz = 1'000'000'000;

struct ApicTimerState {
  std::uint32_t lvt = 0x10000;
  std::uint32_t initial_count = 0;
  std::uint32_t divide = 0;        // the divide configuration register
  std::uint64_t start_ns = 0;      // when the present count began
  std::uint64_t deadline_tsc = 0;  // 0: none
  std::uint64_t due_ns = 0;        // of the next interrupt; 0: none
};

// The processor's time stamp counter.
struct GuestTsc {
  std::uint64_t hz = 0;
  std::function<std::uint64_t()> now;  // on the vCPU's own thread alone
};

// Registers are accessed by the vCPU's thread alone; expiry comes on the timers' thread.
class ApicTimer {
 public:
  ApicTimer(Timers& timers, GuestTsc tsc, std::function<void(std::uint8_t vector)> post);

  std::uint32_t lvt() const;
  void write_lvt(std::uint32_t value);
  std::uint32_t initial_count() const;
  void write_initial_count(std::uint32_t value);
  std::uint32_t current_count() const;
  std::uint32_t divide() const;
  void write_divide(std::uint32_t value);
  std::uint64_t deadline() const;
  void write_deadline(std::uint64_t tsc);
  void mask();  // the APIC was disabled by software

  ApicTimerState save() const;
  void restore(const ApicTimerState& state);

 private:
  void start();  // with the lock
  void set_due(std::uint64_t due_ns);
  void expired();
  std::uint64_t period_ns() const;

  Timers& timers_;
  const GuestTsc tsc_;
  const std::function<void(std::uint8_t)> post_;
  mutable std::mutex mutex_;
  ApicTimerState state_;
  std::unique_ptr<Timers::Timer> timer_;
};

}  // namespace berth::device

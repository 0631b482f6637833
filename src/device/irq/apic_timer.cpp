#include "device/irq/apic_timer.hpp"

#include <algorithm>
#include <optional>

namespace berth::device {
namespace {

constexpr std::uint32_t kMasked = 1U << 16;
constexpr std::uint32_t kLvtWritable = 0x700ff;
// A periodic timer that fires faster than this only starves its guest.
constexpr std::uint64_t kShortestPeriodNs = 20'000;

enum class Mode { OneShot, Periodic, Deadline, Reserved };
Mode mode_of(std::uint32_t lvt) { return static_cast<Mode>(lvt >> 17 & 3); }

// Bits 0, 1 and 3: 2, 4, ... 128, 1 (SDM vol. 3, figure 11-10).
std::uint64_t divisor(std::uint32_t divide) {
  const unsigned code = (divide & 3) | (divide >> 1 & 4);
  return code == 7 ? 1 : std::uint64_t{2} << code;
}

}  // namespace

ApicTimer::ApicTimer(Timers& timers, GuestTsc tsc, std::function<void(std::uint8_t)> post)
    : timers_(timers),
      tsc_(std::move(tsc)),
      post_(std::move(post)),
      timer_(timers.make([this] { expired(); })) {}

std::uint64_t ApicTimer::period_ns() const {
  return ns_of(state_.initial_count * divisor(state_.divide), kApicTimerHz);
}

void ApicTimer::set_due(std::uint64_t due_ns) {
  state_.due_ns = due_ns;
  due_ns == 0 ? timer_->disarm() : timer_->arm(due_ns);
}

void ApicTimer::start() {
  state_.start_ns = timers_.now_ns();
  set_due(state_.initial_count == 0 ? 0 : state_.start_ns + period_ns());
}

void ApicTimer::expired() {
  std::optional<std::uint8_t> vector;
  {
    const std::lock_guard lock(mutex_);
    const std::uint64_t now = timers_.now_ns();
    if (state_.due_ns == 0 || now < state_.due_ns) return;  // overtaken by a register write
    if ((state_.lvt & kMasked) == 0) vector = static_cast<std::uint8_t>(state_.lvt);
    state_.deadline_tsc = 0;
    if (mode_of(state_.lvt) == Mode::Periodic) {
      const std::uint64_t period = std::max(period_ns(), kShortestPeriodNs);
      state_.start_ns = state_.due_ns + (now - state_.due_ns) / period * period;  // missed ones are lost
      set_due(state_.start_ns + period);
    } else {
      state_.due_ns = 0;
    }
  }
  if (vector) post_(*vector);
}

std::uint32_t ApicTimer::lvt() const {
  const std::lock_guard lock(mutex_);
  return state_.lvt;
}

void ApicTimer::write_lvt(std::uint32_t value) {
  const std::lock_guard lock(mutex_);
  const bool to_or_from_deadline =
      (mode_of(state_.lvt) == Mode::Deadline) != (mode_of(value) == Mode::Deadline);
  state_.lvt = value & kLvtWritable;
  if (!to_or_from_deadline) return;
  state_.deadline_tsc = 0;
  state_.initial_count = 0;
  set_due(0);
}

void ApicTimer::mask() {
  const std::lock_guard lock(mutex_);
  state_.lvt |= kMasked;
}

std::uint32_t ApicTimer::initial_count() const {
  const std::lock_guard lock(mutex_);
  return state_.initial_count;
}

void ApicTimer::write_initial_count(std::uint32_t value) {
  const std::lock_guard lock(mutex_);
  if (mode_of(state_.lvt) == Mode::Deadline) return;
  state_.initial_count = value;
  start();
}

std::uint32_t ApicTimer::current_count() const {
  const std::lock_guard lock(mutex_);
  if (mode_of(state_.lvt) == Mode::Deadline || state_.due_ns == 0) return 0;
  const std::uint64_t now = timers_.now_ns();
  if (now >= state_.due_ns) return 0;
  const std::uint64_t left = ticks_in(state_.due_ns - now, kApicTimerHz) / divisor(state_.divide);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(left, state_.initial_count));
}

std::uint32_t ApicTimer::divide() const {
  const std::lock_guard lock(mutex_);
  return state_.divide;
}

void ApicTimer::write_divide(std::uint32_t value) {
  const std::lock_guard lock(mutex_);
  state_.divide = value & 0xb;
  if (mode_of(state_.lvt) != Mode::Deadline && state_.due_ns != 0) start();
}

std::uint64_t ApicTimer::deadline() const {
  const std::lock_guard lock(mutex_);
  return state_.deadline_tsc;
}

void ApicTimer::write_deadline(std::uint64_t tsc) {
  const std::lock_guard lock(mutex_);
  if (mode_of(state_.lvt) != Mode::Deadline) return;
  state_.deadline_tsc = tsc;
  if (tsc == 0) return set_due(0);
  const std::uint64_t tsc_now = tsc_.now();
  const std::uint64_t now = timers_.now_ns();
  // A deadline that has passed fires at once; one centuries away need not be exact.
  const std::uint64_t ticks = tsc > tsc_now ? std::min(tsc - tsc_now, tsc_.hz << 30) : 0;
  set_due(now + ns_of(ticks, tsc_.hz));
}

ApicTimerState ApicTimer::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void ApicTimer::restore(const ApicTimerState& state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  set_due(state.due_ns);
}

}  // namespace berth::device

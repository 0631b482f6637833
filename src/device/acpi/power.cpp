#include "device/acpi/power.hpp"

namespace berth::device {
namespace {

constexpr std::uint16_t kPowerButton = 1 << 8;
constexpr std::uint16_t kEventBits = 0x0721;  // timer, bus master, global, power and sleep button, RTC
constexpr std::uint8_t kSleepEnable = 0x20;   // of the control register's high byte

std::uint8_t byte_of(std::uint32_t value, unsigned index) {
  return static_cast<std::uint8_t>(value >> (8 * index));
}

}  // namespace

void Power::update_sci() const { sci_.set((state_.status & state_.enable) != 0); }

void Power::press_power_button() {
  const std::lock_guard lock(mutex_);
  state_.status |= kPowerButton;
  update_sci();
}

std::uint8_t Power::read_byte(std::uint16_t port) {
  if (port >= kPmTimer) {
    const auto ticks = static_cast<std::uint32_t>(ticks_in(timers_.now_ns(), kPmTimerHz));
    return byte_of(ticks, port - kPmTimer);
  }
  const std::lock_guard lock(mutex_);
  switch (port - kPm1Event) {
    case 0:
    case 1:
      return byte_of(state_.status, port & 1U);
    case 2:
    case 3:
      return byte_of(state_.enable, port & 1U);
    case 4:
    case 5:
      return byte_of(state_.control, port & 1U);
    default:
      return 0;
  }
}

void Power::write_control_high(std::uint8_t value) {
  state_.control = static_cast<std::uint16_t>((state_.control & 0xff) | (value & 0x1c) << 8);
  if ((value & kSleepEnable) != 0 && (value >> 2 & 7) == kSleepTypeOff) end_.end({EndKind::PowerOff});
}

void Power::write_byte(std::uint16_t port, std::uint8_t value) {
  const std::lock_guard lock(mutex_);
  const unsigned shift = 8 * (port & 1U);
  const auto wide = static_cast<std::uint16_t>(value << shift);
  switch (port - kPm1Event) {
    case 0:
    case 1:
      state_.status = static_cast<std::uint16_t>(state_.status & ~wide);
      break;  // writing 1 clears
    case 2:
    case 3:
      state_.enable = static_cast<std::uint16_t>(((state_.enable & ~(0xff << shift)) | wide) & kEventBits);
      break;
    case 5:
      write_control_high(value);
      break;
    default:
      break;
  }
  update_sci();
}

PowerState Power::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Power::restore(const PowerState& state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  update_sci();
}

}  // namespace berth::device

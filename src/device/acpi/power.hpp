// ACPI's fixed hardware (ACPI 6.4, 4.8): event and control registers with the power button and S5, and the
// power management timer.
#pragma once

#include <mutex>

#include "device/bus.hpp"
#include "device/end.hpp"
#include "device/irq/line.hpp"
#include "device/time/timers.hpp"

namespace berth::device {

inline constexpr std::uint16_t kPm1Event = 0x600;
inline constexpr std::uint16_t kPm1Control = 0x604;
inline constexpr std::uint16_t kPmTimer = 0x608;
inline constexpr unsigned kSciIrq = 9;
inline constexpr std::uint8_t kSleepTypeOff = 5;  // what \_S5 tells the guest to write
inline constexpr std::uint64_t kPmTimerHz = 3'579'545;

struct PowerState {
  std::uint16_t status = 0, enable = 0, control = 1;  // control bit 0: ACPI mode, from the start
};

class Power final : public BytePortDevice {
 public:
  Power(const Timers& timers, InterruptLine sci, EndSink& end) : timers_(timers), sci_(sci), end_(end) {}
  void attach(PortBus& bus) { bus.attach(kPm1Event, 12, *this); }
  void press_power_button();  // any thread
  PowerState save() const;
  void restore(const PowerState& state);

 private:
  std::uint8_t read_byte(std::uint16_t port) override;
  void write_byte(std::uint16_t port, std::uint8_t value) override;
  void write_control_high(std::uint8_t value);
  void update_sci() const;

  const Timers& timers_;
  const InterruptLine sci_;
  EndSink& end_;
  mutable std::mutex mutex_;
  PowerState state_;
};

}  // namespace berth::device

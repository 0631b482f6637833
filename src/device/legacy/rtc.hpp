// The MC146818 real-time clock with its CMOS memory: the host's time, in UTC. It raises no interrupts; the
// guest has better timers, and ACPI names none for it.
#pragma once

#include <array>
#include <functional>
#include <mutex>

#include "device/bus.hpp"

namespace berth::device {

struct RtcState {
  std::array<std::uint8_t, 128> cmos{};
  std::uint8_t index = 0;
  std::int64_t offset_s = 0;  // of the guest's time against the host's
};

class Rtc final : public BytePortDevice {
 public:
  // `now` gives seconds since 1970 on the host.
  explicit Rtc(std::function<std::int64_t()> now);
  void attach(PortBus& bus) { bus.attach(kIndex, 2, *this); }
  RtcState save() const;
  void restore(const RtcState& state);

 private:
  static constexpr std::uint16_t kIndex = 0x70;
  std::uint8_t read_byte(std::uint16_t port) override;
  void write_byte(std::uint16_t port, std::uint8_t value) override;
  std::uint8_t read_time(std::uint8_t reg) const;
  void write_time(std::uint8_t reg, std::uint8_t value);
  std::uint8_t encode(unsigned value) const;
  unsigned decode(std::uint8_t value) const;

  std::function<std::int64_t()> now_;
  mutable std::mutex mutex_;
  RtcState state_;
};

}  // namespace berth::device

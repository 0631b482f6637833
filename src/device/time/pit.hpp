// The 8254 interval timer (Intel 8254 data sheet) and the speaker port 0x61 that gates its channel 2. Channel
// 0's output is interrupt line 0. Counters are computed from the time, not counted.
#pragma once

#include <array>
#include <memory>
#include <mutex>

#include "device/bus.hpp"
#include "device/irq/line.hpp"
#include "device/time/timers.hpp"

namespace berth::device {

inline constexpr std::uint64_t kPitHz = 1'193'182;

struct PitChannel {
  std::uint64_t start_ns = 0;  // when the count began
  std::uint32_t reload = 0x10000;
  std::uint16_t latched = 0;
  std::uint8_t latched_bytes = 0;  // still to be read
  std::uint8_t status = 0;
  bool status_latched = false;
  std::uint8_t access = 3;  // 1 low byte, 2 high byte, 3 both
  std::uint8_t mode = 0;
  bool bcd = false;
  bool second_byte_read = false, second_byte_write = false;
  std::uint8_t low_byte = 0;
  bool loaded = false;  // counts since its last control word
  bool gate = true;
};
struct PitState {
  std::array<PitChannel, 3> channels;
  bool speaker = false;
};

class Pit final : public BytePortDevice {
 public:
  Pit(Timers& timers, InterruptLine line);
  void attach(PortBus& bus);
  PitState save() const;
  void restore(const PitState& state);

 private:
  std::uint8_t read_byte(std::uint16_t port) override;
  void write_byte(std::uint16_t port, std::uint8_t value) override;
  std::uint8_t read_counter(PitChannel& channel) const;
  void write_counter(unsigned index, std::uint8_t value);
  void write_control(std::uint8_t value);
  void set_gate(bool gate);
  void latch_count(PitChannel& channel) const;
  void schedule();
  void expired();

  Timers& timers_;
  const InterruptLine line_;
  mutable std::mutex mutex_;
  PitState state_;
  std::unique_ptr<Timers::Timer> timer_;
};

}  // namespace berth::device

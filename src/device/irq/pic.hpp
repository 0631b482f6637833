// The pair of 8259A interrupt controllers of a PC (Intel 8259A data sheet; the edge/level registers of EISA).
// Lines 0-7 are the master's, 8-15 the slave's, cascaded at line 2.
#pragma once

#include <array>
#include <functional>
#include <mutex>
#include <optional>

#include "device/bus.hpp"

namespace berth::device {

struct PicChip {
  std::uint8_t irr = 0, imr = 0xff, isr = 0;
  std::uint8_t lines = 0;  // their level now
  std::uint8_t elcr = 0;   // 1: level-triggered
  std::uint8_t vector_base = 0;
  std::uint8_t lowest = 7;     // the line of lowest priority
  std::uint8_t init_step = 0;  // which ICW comes next; 0: initialised
  bool needs_icw4 = false, auto_eoi = false, rotate_on_auto_eoi = false, special_mask = false;
  bool read_isr = false, poll = false, special_fully_nested = false;
};
using PicState = std::array<PicChip, 2>;

class Pic final : public BytePortDevice {
 public:
  // `output` hears of each change of the INT pin, with the pair's lock held; it must not call back.
  explicit Pic(std::function<void(bool)> output);
  void attach(PortBus& bus);

  void set_line(unsigned line, bool high);  // 0-15; any thread
  bool pending() const;                     // the INT pin
  // What the processor's INTA cycle gets; a spurious vector (line 7 of the chip) where the request has gone.
  std::uint8_t acknowledge();

  PicState save() const;
  void restore(const PicState& state);

 private:
  std::uint8_t read_byte(std::uint16_t port) override;
  void write_byte(std::uint16_t port, std::uint8_t value) override;
  void update();

  std::function<void(bool)> output_;
  mutable std::mutex mutex_;
  PicState chips_;
  bool int_pin_ = false;
};

}  // namespace berth::device

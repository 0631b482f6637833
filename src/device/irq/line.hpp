// How devices ask for attention: lines of the board, and messages.
#pragma once

#include <cstdint>

namespace berth::device {

// The board's interrupt lines, by global system interrupt number (ACPI 6.4, 5.2.13): 0-15 are the ISA ones.
class InterruptSink {
 public:
  virtual ~InterruptSink() = default;
  virtual void set_line(unsigned gsi, bool high) = 0;  // any thread
};

// One device's end of a line.
class InterruptLine {
 public:
  InterruptLine(InterruptSink& sink, unsigned gsi) : sink_(&sink), gsi_(gsi) {}
  void set(bool high) const { sink_->set_line(gsi_, high); }
  void pulse() const {
    set(true);
    set(false);
  }
  unsigned gsi() const { return gsi_; }

 private:
  InterruptSink* sink_;
  unsigned gsi_;
};

// A message-signalled interrupt: a write of `data` to `address` (SDM vol. 3, 11.11).
class MessageSink {
 public:
  virtual ~MessageSink() = default;
  virtual void signal(std::uint64_t address, std::uint32_t data) = 0;  // any thread
};

}  // namespace berth::device

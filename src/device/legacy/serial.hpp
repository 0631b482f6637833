// A 16550A serial port (National Semiconductor PC16550D data sheet): FIFOs, loopback, interrupts. What is
// sent leaves at once, whatever the baud rate; what comes in waits outside while the FIFO is full.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <span>

#include "device/bus.hpp"
#include "device/irq/line.hpp"

namespace berth::device {

inline constexpr std::uint16_t kCom1 = 0x3f8;
inline constexpr std::uint16_t kSerialPorts = 8;
inline constexpr unsigned kCom1Irq = 4;

struct SerialState {
  std::array<std::uint8_t, 16> fifo{};  // received, not yet read; a ring
  std::uint8_t first = 0, count = 0;
  std::uint8_t ier = 0, fcr = 0, lcr = 0, mcr = 0, scr = 0;
  std::uint8_t modem_delta = 0;  // bits 0-3 of MSR
  std::uint16_t divisor = 12;    // 9600 baud
  bool thre_pending = false;
};

class Serial final : public BytePortDevice {
 public:
  // `send` gets each byte on the vCPU's thread and may block it; `room` is called, also there, once the guest
  // has read all that had come in.
  struct Host {
    std::function<void(std::uint8_t)> send;
    std::function<void()> room;
  };
  Serial(std::uint16_t base, InterruptLine line, Host host);

  // Hands in bytes from outside; gives how many fit. Any thread.
  std::size_t receive(std::span<const std::uint8_t> bytes);

  SerialState save() const;
  void restore(const SerialState& state);

 private:
  std::uint8_t read_byte(std::uint16_t port) override;
  void write_byte(std::uint16_t port, std::uint8_t value) override;
  std::uint8_t read_data(bool& drained);
  std::uint8_t identify() const;
  std::uint8_t modem_status() const;
  void transmit(std::uint8_t value);
  void push(std::uint8_t value);
  void write_control(unsigned reg, std::uint8_t value);
  std::size_t capacity() const;
  void update_line() const;

  const std::uint16_t base_;
  const InterruptLine line_;
  const Host host_;
  mutable std::mutex mutex_;
  SerialState state_;
};

}  // namespace berth::device

// Small ports by which a guest ends its machine, or says that it has failed.
#pragma once

#include "device/bus.hpp"
#include "device/end.hpp"

namespace berth::device {

// What is left of the i8042 keyboard controller: no keyboard, and the command that pulses the reset line.
class KeyboardController final : public BytePortDevice {
 public:
  explicit KeyboardController(EndSink& end) : end_(end) {}
  void attach(PortBus& bus);

 private:
  std::uint8_t read_byte(std::uint16_t port) override;
  void write_byte(std::uint16_t port, std::uint8_t value) override;
  EndSink& end_;
};

// For test programs: a write ends the machine with that value (QEMU's isa-debug-exit, at its usual port).
class DebugExit final : public PortDevice {
 public:
  static constexpr std::uint16_t kPort = 0xf4;
  explicit DebugExit(EndSink& end) : end_(end) {}
  void attach(PortBus& bus) { bus.attach(kPort, 4, *this); }
  std::uint32_t port_read(std::uint16_t port, unsigned bytes) override;
  void port_write(std::uint16_t port, unsigned bytes, std::uint32_t value) override;

 private:
  EndSink& end_;
};

// QEMU's pvpanic (docs/specs/pvpanic.rst): bit 0 says that the kernel has panicked.
class PanicPort final : public BytePortDevice {
 public:
  static constexpr std::uint16_t kPort = 0x505;
  explicit PanicPort(EndSink& end) : end_(end) {}
  void attach(PortBus& bus) { bus.attach(kPort, 1, *this); }

 private:
  std::uint8_t read_byte(std::uint16_t port) override;
  void write_byte(std::uint16_t port, std::uint8_t value) override;
  EndSink& end_;
};

// Fast A20 and the second way to reset (port 0x92); A20 is always open.
class SystemControlPort final : public BytePortDevice {
 public:
  static constexpr std::uint16_t kPort = 0x92;
  explicit SystemControlPort(EndSink& end) : end_(end) {}
  void attach(PortBus& bus) { bus.attach(kPort, 1, *this); }

 private:
  std::uint8_t read_byte(std::uint16_t port) override;
  void write_byte(std::uint16_t port, std::uint8_t value) override;
  EndSink& end_;
};

}  // namespace berth::device

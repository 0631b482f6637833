#include "device/legacy/control_ports.hpp"

namespace berth::device {
namespace {

constexpr std::uint16_t kKeyboardData = 0x60, kKeyboardCommand = 0x64;
constexpr std::uint8_t kPulseReset = 0xfe;
constexpr std::uint8_t kPanicked = 0x01;
constexpr std::uint8_t kA20 = 0x02, kFastReset = 0x01;

}  // namespace

void KeyboardController::attach(PortBus& bus) {
  bus.attach(kKeyboardData, 1, *this);
  bus.attach(kKeyboardCommand, 1, *this);
}

// Status: nothing to read, ready for a command.
std::uint8_t KeyboardController::read_byte(std::uint16_t) { return 0; }

void KeyboardController::write_byte(std::uint16_t port, std::uint8_t value) {
  if (port == kKeyboardCommand && value == kPulseReset) end_.end({EndKind::Reset});
}

std::uint32_t DebugExit::port_read(std::uint16_t, unsigned) { return 0; }

void DebugExit::port_write(std::uint16_t, unsigned, std::uint32_t value) {
  end_.end({EndKind::DebugExit, value});
}

std::uint8_t PanicPort::read_byte(std::uint16_t) { return kPanicked; }  // what it understands

void PanicPort::write_byte(std::uint16_t, std::uint8_t value) {
  if ((value & kPanicked) != 0) end_.end({EndKind::Panic});
}

std::uint8_t SystemControlPort::read_byte(std::uint16_t) { return kA20; }

void SystemControlPort::write_byte(std::uint16_t, std::uint8_t value) {
  if ((value & kFastReset) != 0) end_.end({EndKind::Reset});
}

}  // namespace berth::device

#include "device/legacy/serial.hpp"

namespace berth::device {
namespace {

enum Register : unsigned { Data, Ier, IirFcr, Lcr, Mcr, Lsr, Msr, Scr };

constexpr std::uint8_t kIerReceived = 0x01;
constexpr std::uint8_t kIerEmpty = 0x02;
constexpr std::uint8_t kIerModem = 0x08;
constexpr std::uint8_t kIirNone = 0x01;
constexpr std::uint8_t kIirModem = 0x00;
constexpr std::uint8_t kIirEmpty = 0x02;
constexpr std::uint8_t kIirReceived = 0x04;
constexpr std::uint8_t kIirTimeout = 0x0c;
constexpr std::uint8_t kFcrEnable = 0x01;
constexpr std::uint8_t kFcrClearReceived = 0x02;
constexpr std::uint8_t kLcrDivisor = 0x80;
constexpr std::uint8_t kMcrOut2 = 0x08;
constexpr std::uint8_t kMcrLoop = 0x10;
constexpr std::uint8_t kLsrReady = 0x01;
constexpr std::uint8_t kLsrIdle = 0x60;       // holding and shift register empty
constexpr std::uint8_t kMsrConnected = 0xb0;  // carrier, data set ready, clear to send
constexpr std::array<std::uint8_t, 4> kTriggers{1, 4, 8, 14};

}  // namespace

Serial::Serial(std::uint16_t base, InterruptLine line, Host host)
    : base_(base), line_(line), host_(std::move(host)) {}

std::size_t Serial::capacity() const { return (state_.fcr & kFcrEnable) != 0 ? state_.fifo.size() : 1; }

void Serial::push(std::uint8_t value) {
  if (state_.count >= capacity()) return;
  state_.fifo[(state_.first + state_.count) % state_.fifo.size()] = value;
  ++state_.count;
}

std::size_t Serial::receive(std::span<const std::uint8_t> bytes) {
  const std::lock_guard lock(mutex_);
  if ((state_.mcr & kMcrLoop) != 0) return 0;  // the outside is cut off
  std::size_t taken = 0;
  while (taken < bytes.size() && state_.count < capacity()) push(bytes[taken++]);
  update_line();
  return taken;
}

std::uint8_t Serial::identify() const {
  if (state_.count > 0 && (state_.ier & kIerReceived) != 0) {
    const bool fifo = (state_.fcr & kFcrEnable) != 0;
    return !fifo || state_.count >= kTriggers[state_.fcr >> 6] ? kIirReceived : kIirTimeout;
  }
  if (state_.thre_pending && (state_.ier & kIerEmpty) != 0) return kIirEmpty;
  if (state_.modem_delta != 0 && (state_.ier & kIerModem) != 0) return kIirModem;
  return kIirNone;
}

void Serial::update_line() const { line_.set((state_.mcr & kMcrOut2) != 0 && identify() != kIirNone); }

std::uint8_t Serial::modem_status() const {
  if ((state_.mcr & kMcrLoop) == 0) return static_cast<std::uint8_t>(kMsrConnected | state_.modem_delta);
  // RTS to CTS, DTR to DSR, OUT1 to RI, OUT2 to DCD.
  const unsigned mcr = state_.mcr;
  return static_cast<std::uint8_t>(((mcr & 2) << 3) | ((mcr & 1) << 5) | ((mcr & 4) << 4) | ((mcr & 8) << 4) |
                                   state_.modem_delta);
}

std::uint8_t Serial::read_data(bool& drained) {
  if (state_.count == 0) return 0;
  const std::uint8_t value = state_.fifo[state_.first];
  state_.first = static_cast<std::uint8_t>((state_.first + 1U) % state_.fifo.size());
  --state_.count;
  drained = state_.count == 0;
  return value;
}

std::uint8_t Serial::read_byte(std::uint16_t port) {
  bool drained = false;
  std::uint8_t value = 0;
  {
    const std::lock_guard lock(mutex_);
    const bool divisor = (state_.lcr & kLcrDivisor) != 0;
    switch (port - base_) {
      case Data:
        value = divisor ? static_cast<std::uint8_t>(state_.divisor) : read_data(drained);
        break;
      case Ier:
        value = divisor ? static_cast<std::uint8_t>(state_.divisor >> 8) : state_.ier;
        break;
      case IirFcr:
        value = identify();
        if (value == kIirEmpty) state_.thre_pending = false;
        if ((state_.fcr & kFcrEnable) != 0) value |= 0xc0;
        break;
      case Lcr:
        value = state_.lcr;
        break;
      case Mcr:
        value = state_.mcr;
        break;
      case Lsr:
        value = kLsrIdle | (state_.count > 0 ? kLsrReady : 0);
        break;
      case Msr:
        value = modem_status();
        state_.modem_delta = 0;
        break;
      default:
        value = state_.scr;
        break;
    }
    update_line();
  }
  if (drained && host_.room) host_.room();
  return value;
}

void Serial::transmit(std::uint8_t value) {
  state_.thre_pending = false;
  if ((state_.mcr & kMcrLoop) != 0) push(value);
  update_line();  // down, so that coming up again is an edge
  state_.thre_pending = true;
}

void Serial::write_control(unsigned reg, std::uint8_t value) {
  switch (reg) {
    case Ier:
      if ((value & ~state_.ier & kIerEmpty) != 0) state_.thre_pending = true;
      state_.ier = value & 0x0f;
      break;
    case IirFcr:
      if ((value & kFcrClearReceived) != 0 || ((value ^ state_.fcr) & kFcrEnable) != 0) state_.count = 0;
      state_.fcr = value & 0xc9;
      break;
    case Lcr:
      state_.lcr = value;
      break;
    case Mcr: {
      const std::uint8_t before = modem_status();
      state_.mcr = value & 0x1f;
      const std::uint8_t changed = before ^ modem_status();
      // A changed line sets its delta; the ring's is set by its end alone.
      state_.modem_delta |= static_cast<std::uint8_t>((changed >> 4) & ((before & 0x40) != 0 ? 0x0f : 0x0b));
      break;
    }
    case Scr:
      state_.scr = value;
      break;
    default:
      break;  // LSR and MSR are read-only
  }
}

void Serial::write_byte(std::uint16_t port, std::uint8_t value) {
  bool send = false;
  {
    const std::lock_guard lock(mutex_);
    const unsigned reg = static_cast<unsigned>(port - base_);
    const bool divisor = (state_.lcr & kLcrDivisor) != 0;
    if (divisor && reg == Data) {
      state_.divisor = static_cast<std::uint16_t>((state_.divisor & 0xff00) | value);
    } else if (divisor && reg == Ier) {
      state_.divisor = static_cast<std::uint16_t>((state_.divisor & 0x00ff) | (value << 8));
    } else if (reg == Data) {
      send = (state_.mcr & kMcrLoop) == 0;
      transmit(value);
    } else {
      write_control(reg, value);
    }
    update_line();
  }
  if (send && host_.send) host_.send(value);
}

SerialState Serial::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Serial::restore(const SerialState& state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  update_line();
}

}  // namespace berth::device

#include "device/irq/pic.hpp"

namespace berth::device {
namespace {

constexpr std::uint16_t kMaster = 0x20, kSlave = 0xa0, kElcr = 0x4d0;
constexpr unsigned kCascade = 2;
// Lines that the board wires as edges for ever: timer, keyboard, cascade, RTC and coprocessor.
constexpr std::array<std::uint8_t, 2> kElcrWritable{0xf8, 0xde};

std::uint8_t bit(unsigned line) { return static_cast<std::uint8_t>(1U << line); }

// The lines from highest to lowest priority start after `lowest`; how many steps from there.
std::optional<unsigned> first_of(const PicChip& chip, std::uint8_t lines) {
  for (unsigned step = 1; step <= 8; ++step) {
    const unsigned line = (chip.lowest + step) & 7;
    if ((lines & bit(line)) != 0) return step;
  }
  return std::nullopt;
}

// The line that asks and may interrupt what is in service.
std::optional<unsigned> requested(const PicChip& chip, bool is_master) {
  const auto wanted = first_of(chip, static_cast<std::uint8_t>(chip.irr & ~chip.imr));
  if (!wanted) return std::nullopt;
  std::uint8_t in_service = chip.isr;
  if (chip.special_mask) in_service &= static_cast<std::uint8_t>(~chip.imr);
  if (is_master && chip.special_fully_nested) in_service &= static_cast<std::uint8_t>(~bit(kCascade));
  const auto busy = first_of(chip, in_service);
  if (busy && *busy <= *wanted) return std::nullopt;
  return (chip.lowest + *wanted) & 7;
}

void drive(PicChip& chip, unsigned line, bool high) {
  const std::uint8_t mask = bit(line);
  const bool was_high = (chip.lines & mask) != 0;
  const bool level = (chip.elcr & mask) != 0;
  if (high && (level || !was_high)) chip.irr |= mask;
  if (!high) chip.irr &= static_cast<std::uint8_t>(~mask);
  chip.lines = static_cast<std::uint8_t>(high ? chip.lines | mask : chip.lines & ~mask);
}

void take(PicChip& chip, unsigned line) {
  if ((chip.elcr & bit(line)) == 0) chip.irr &= static_cast<std::uint8_t>(~bit(line));
  if (!chip.auto_eoi) {
    chip.isr |= bit(line);
  } else if (chip.rotate_on_auto_eoi) {
    chip.lowest = static_cast<std::uint8_t>(line);
  }
}

// OCW2: end of interrupt and rotation (data sheet, "Operation control words").
void end_of_interrupt(PicChip& chip, std::uint8_t value) {
  const unsigned command = value >> 5;
  const std::uint8_t named = value & 7;
  switch (command) {
    case 0:
      chip.rotate_on_auto_eoi = false;
      break;
    case 4:
      chip.rotate_on_auto_eoi = true;
      break;
    case 1:
    case 5:
      if (const auto step = first_of(chip, chip.isr)) {
        const unsigned line = (chip.lowest + *step) & 7;
        chip.isr &= static_cast<std::uint8_t>(~bit(line));
        if (command == 5) chip.lowest = static_cast<std::uint8_t>(line);
      }
      break;
    case 3:
    case 7:
      chip.isr &= static_cast<std::uint8_t>(~bit(named));
      if (command == 7) chip.lowest = named;
      break;
    case 6:
      chip.lowest = named;
      break;
    default:
      break;
  }
}

void initialize(PicChip& chip, std::uint8_t value) {
  chip = PicChip{.imr = 0, .lines = chip.lines, .elcr = chip.elcr, .vector_base = chip.vector_base};
  chip.irr = chip.lines & chip.elcr;
  chip.needs_icw4 = (value & 1) != 0;
  chip.init_step = 2;
}

void write_command(PicChip& chip, std::uint8_t value) {
  if ((value & 0x10) != 0) return initialize(chip, value);
  if ((value & 0x08) == 0) return end_of_interrupt(chip, value);
  if ((value & 0x04) != 0) chip.poll = true;
  if ((value & 0x02) != 0) chip.read_isr = (value & 1) != 0;
  if ((value & 0x40) != 0) chip.special_mask = (value & 0x20) != 0;
}

void write_data(PicChip& chip, std::uint8_t value) {
  switch (chip.init_step) {
    case 2:
      chip.vector_base = value & 0xf8;
      chip.init_step = 3;  // always cascaded here
      break;
    case 3:
      chip.init_step = chip.needs_icw4 ? 4 : 0;
      break;
    case 4:
      chip.auto_eoi = (value & 2) != 0;
      chip.special_fully_nested = (value & 0x10) != 0;
      chip.init_step = 0;
      break;
    default:
      chip.imr = value;
      break;
  }
}

}  // namespace

Pic::Pic(std::function<void(bool)> output) : output_(std::move(output)) {}

void Pic::attach(PortBus& bus) {
  bus.attach(kMaster, 2, *this);
  bus.attach(kSlave, 2, *this);
  bus.attach(kElcr, 2, *this);
}

void Pic::update() {
  drive(chips_[0], kCascade, requested(chips_[1], false).has_value());
  const bool pin = requested(chips_[0], true).has_value();
  if (pin != int_pin_) {
    int_pin_ = pin;
    output_(pin);
  }
}

void Pic::set_line(unsigned line, bool high) {
  if (line > 15 || line == kCascade) return;
  const std::lock_guard lock(mutex_);
  drive(chips_[line / 8], line % 8, high);
  update();
}

bool Pic::pending() const {
  const std::lock_guard lock(mutex_);
  return int_pin_;
}

std::uint8_t Pic::acknowledge() {
  const std::lock_guard lock(mutex_);
  PicChip& master = chips_[0];
  const auto line = requested(master, true);
  if (!line) return master.vector_base + 7;
  take(master, *line);
  unsigned vector = master.vector_base + *line;
  if (*line == kCascade) {
    const auto slave_line = requested(chips_[1], false);
    if (slave_line) take(chips_[1], *slave_line);
    vector = chips_[1].vector_base + slave_line.value_or(7);
  }
  update();
  return static_cast<std::uint8_t>(vector);
}

std::uint8_t Pic::read_byte(std::uint16_t port) {
  const std::lock_guard lock(mutex_);
  if (port >= kElcr) return chips_[port - kElcr].elcr;
  const bool is_master = port < kSlave;
  PicChip& chip = chips_[is_master ? 0 : 1];
  if (chip.poll) {
    chip.poll = false;
    const auto line = requested(chip, is_master);
    if (line) take(chip, *line);
    update();
    return static_cast<std::uint8_t>(line ? 0x80 | *line : 0);
  }
  if ((port & 1) != 0) return chip.imr;
  return chip.read_isr ? chip.isr : chip.irr;
}

void Pic::write_byte(std::uint16_t port, std::uint8_t value) {
  const std::lock_guard lock(mutex_);
  if (port >= kElcr) {
    chips_[port - kElcr].elcr = value & kElcrWritable[port - kElcr];
  } else {
    PicChip& chip = chips_[port < kSlave ? 0 : 1];
    (port & 1) != 0 ? write_data(chip, value) : write_command(chip, value);
  }
  update();
}

PicState Pic::save() const {
  const std::lock_guard lock(mutex_);
  return chips_;
}

void Pic::restore(const PicState& state) {
  const std::lock_guard lock(mutex_);
  chips_ = state;
  update();
}

}  // namespace berth::device

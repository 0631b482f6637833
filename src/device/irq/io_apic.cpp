#include "device/irq/io_apic.hpp"

namespace berth::device {
namespace {

constexpr std::uint64_t kSelect = 0x00, kWindow = 0x10, kEoi = 0x40;
constexpr std::uint8_t kId = 0, kVersion = 1, kArbitration = 2, kFirstEntry = 0x10;
constexpr std::uint64_t kMasked = 1 << 16, kLevel = 1 << 15, kRemoteIrr = 1 << 14, kLogical = 1 << 11;
constexpr std::uint64_t kReadOnly = kRemoteIrr | 1 << 12;
constexpr std::uint64_t kWritable = 0xff0000000001ffff & ~kReadOnly;

}  // namespace

IoApic::IoApic(ApicBus& bus) : bus_(bus) {
  state_.entries.fill(kMasked);
  bus_.set_io_apic(*this);
}

// Sends the pin's message if it may; a level-triggered one waits for its EOI first.
void IoApic::serve(unsigned pin) {
  std::uint64_t& entry = state_.entries[pin];
  if ((entry & kMasked) != 0 || (entry & kRemoteIrr) != 0) return;
  const bool level = (entry & kLevel) != 0;
  if (level) entry |= kRemoteIrr;
  bus_.send({.delivery = static_cast<Delivery>(entry >> 8 & 7),
             .vector = static_cast<std::uint8_t>(entry),
             .level = level},
            static_cast<std::uint32_t>(entry >> 56), (entry & kLogical) != 0);
}

void IoApic::set_pin(unsigned pin, bool asserted) {
  if (pin >= kIoApicPins) return;
  const std::lock_guard lock(mutex_);
  const std::uint32_t mask = 1U << pin;
  const bool was = (state_.lines & mask) != 0;
  state_.lines = asserted ? state_.lines | mask : state_.lines & ~mask;
  if (asserted && !was) serve(pin);
}

void IoApic::end_locked(std::uint8_t vector) {
  for (unsigned pin = 0; pin < kIoApicPins; ++pin) {
    std::uint64_t& entry = state_.entries[pin];
    if (static_cast<std::uint8_t>(entry) != vector || (entry & kRemoteIrr) == 0) continue;
    entry &= ~kRemoteIrr;
    if ((state_.lines >> pin & 1) != 0) serve(pin);
  }
}

void IoApic::end_of_interrupt(std::uint8_t vector) {
  const std::lock_guard lock(mutex_);
  end_locked(vector);
}

void IoApic::write_entry(unsigned pin, bool high, std::uint32_t value) {
  std::uint64_t& entry = state_.entries[pin];
  const std::uint64_t half = high ? 0xffffffff00000000 : 0x00000000ffffffff;
  const std::uint64_t placed = high ? std::uint64_t{value} << 32 : value;
  entry = (entry & ~(half & kWritable)) | (placed & half & kWritable);
  if ((entry & kLevel) == 0) entry &= ~kRemoteIrr;  // how software without the EOI register ends one
  if ((entry & kLevel) != 0 && (state_.lines >> pin & 1) != 0) serve(pin);
}

std::uint32_t IoApic::read_register() const {
  const std::uint8_t reg = state_.select;
  if (reg == kId || reg == kArbitration) return std::uint32_t{state_.id} << 24;
  if (reg == kVersion) return (kIoApicPins - 1) << 16 | 0x20;
  if (reg < kFirstEntry || reg >= kFirstEntry + 2 * kIoApicPins) return 0;
  const std::uint64_t entry = state_.entries[(reg - kFirstEntry) / 2U];
  return static_cast<std::uint32_t>((reg & 1) != 0 ? entry >> 32 : entry);
}

void IoApic::write_register(std::uint32_t value) {
  const std::uint8_t reg = state_.select;
  if (reg == kId) state_.id = static_cast<std::uint8_t>(value >> 24 & 15);
  if (reg >= kFirstEntry && reg < kFirstEntry + 2 * kIoApicPins)
    write_entry((reg - kFirstEntry) / 2U, (reg & 1) != 0, value);
}

std::uint64_t IoApic::mmio_read(std::uint64_t offset, unsigned) {
  const std::lock_guard lock(mutex_);
  if (offset == kSelect) return state_.select;
  return offset == kWindow ? read_register() : 0;
}

void IoApic::mmio_write(std::uint64_t offset, unsigned, std::uint64_t value) {
  const std::lock_guard lock(mutex_);
  if (offset == kSelect) state_.select = static_cast<std::uint8_t>(value);
  if (offset == kWindow) write_register(static_cast<std::uint32_t>(value));
  if (offset == kEoi) end_locked(static_cast<std::uint8_t>(value));
}

IoApicState IoApic::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void IoApic::restore(const IoApicState& state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
}

}  // namespace berth::device

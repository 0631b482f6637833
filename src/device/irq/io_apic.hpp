// The I/O APIC (Intel 82093AA data sheet; version 0x20 with its EOI register): 24 pins to APIC messages.
#pragma once

#include <array>
#include <mutex>

#include "device/bus.hpp"
#include "device/irq/apic_bus.hpp"

namespace berth::device {

inline constexpr std::uint64_t kIoApicBase = 0xfec00000;
inline constexpr unsigned kIoApicPins = 24;

struct IoApicState {
  std::array<std::uint64_t, kIoApicPins> entries{};
  std::uint32_t lines = 0;  // asserted pins
  std::uint8_t select = 0;
  std::uint8_t id = 0;
};

class IoApic final : public MmioDevice, public EoiListener {
 public:
  explicit IoApic(ApicBus& bus);
  void attach(MmioBus& bus) { bus.attach(kIoApicBase, 0x1000, *this); }
  void set_pin(unsigned pin, bool asserted);  // any thread

  std::uint64_t mmio_read(std::uint64_t offset, unsigned bytes) override;
  void mmio_write(std::uint64_t offset, unsigned bytes, std::uint64_t value) override;
  void end_of_interrupt(std::uint8_t vector) override;

  IoApicState save() const;
  void restore(const IoApicState& state);

 private:
  std::uint32_t read_register() const;
  void write_register(std::uint32_t value);
  void write_entry(unsigned pin, bool high, std::uint32_t value);
  void serve(unsigned pin);
  void end_locked(std::uint8_t vector);

  ApicBus& bus_;
  mutable std::mutex mutex_;
  IoApicState state_;
};

}  // namespace berth::device

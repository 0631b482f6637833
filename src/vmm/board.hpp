// The board: all devices of the machine but its processors, wired.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "device/acpi/power.hpp"
#include "device/irq/io_apic.hpp"
#include "device/irq/pic.hpp"
#include "device/legacy/control_ports.hpp"
#include "device/legacy/rtc.hpp"
#include "device/legacy/serial.hpp"
#include "device/pci/host.hpp"
#include "device/time/pit.hpp"
#include "guest/memory.hpp"

namespace berth::vmm {

// Lives as long as its machine; its devices lock themselves.
class Board final : private device::InterruptSink {
 public:
  struct Host {
    device::EndSink* end = nullptr;
    device::Timers* timers = nullptr;
    device::Serial::Host serial;
    std::function<void(bool)> pic_output;  // the PIC's INT pin changed
  };
  explicit Board(Host host);
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  // Puts the ACPI tables into memory; gives the root pointer's address.
  Result<std::uint64_t> write_tables(const guest::GuestMemory& memory, unsigned processors) const;

  const device::PortBus& ports() const { return ports_; }
  const device::MmioBus& mmio() const { return mmio_; }
  device::ApicBus& apics() { return apics_; }
  device::Pic& pic() { return pic_; }
  device::Serial& serial() { return serial_; }
  device::Power& power() { return power_; }
  device::PciHost& pci() { return pci_; }

 private:
  void set_line(unsigned gsi, bool high) override;

  device::PortBus ports_;
  device::MmioBus mmio_;
  device::ApicBus apics_;
  device::IoApic io_apic_;
  device::Pic pic_;
  device::Pit pit_;
  device::Rtc rtc_;
  device::Serial serial_;
  device::Power power_;
  device::PciHost pci_;
  device::KeyboardController keyboard_;
  device::SystemControlPort system_control_;
  device::DebugExit debug_exit_;
  device::PanicPort panic_;
};

}  // namespace berth::vmm

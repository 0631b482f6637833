#include "vmm/board.hpp"

#include <ctime>

#include "device/acpi/tables.hpp"

namespace berth::vmm {
namespace {

constexpr std::uint32_t kTablesAt = 0xe0000;
constexpr unsigned kTimerLine = 0, kTimerPin = 2;  // as the MADT says

}  // namespace

Board::Board(Host host)
    : io_apic_(apics_),
      pic_(std::move(host.pic_output)),
      pit_(*host.timers, {*this, kTimerLine}),
      rtc_([] { return static_cast<std::int64_t>(std::time(nullptr)); }),
      serial_(device::kCom1, {*this, device::kCom1Irq}, std::move(host.serial)),
      power_(*host.timers, {*this, device::kSciIrq}, *host.end),
      pci_(*host.end),
      keyboard_(*host.end),
      system_control_(*host.end),
      debug_exit_(*host.end),
      panic_(*host.end) {
  io_apic_.attach(mmio_);
  pic_.attach(ports_);
  pit_.attach(ports_);
  rtc_.attach(ports_);
  ports_.attach(device::kCom1, device::kSerialPorts, serial_);
  power_.attach(ports_);
  pci_.attach(ports_, mmio_);
  keyboard_.attach(ports_);
  system_control_.attach(ports_);
  debug_exit_.attach(ports_);
  panic_.attach(ports_);
}

void Board::set_line(unsigned gsi, bool high) {
  if (gsi < 16) pic_.set_line(gsi, high);
  io_apic_.set_pin(gsi == kTimerLine ? kTimerPin : gsi, high);
}

Result<std::uint64_t> Board::write_tables(const guest::GuestMemory& memory, unsigned processors) const {
  const device::AcpiBoard board{.processors = processors,
                                .ecam_base = device::kEcamBase,
                                .pci_window_start = device::kPciWindowStart,
                                .pci_window_end = device::kPciWindowEnd};
  const auto tables = device::build_acpi_tables(board, kTablesAt);
  BERTH_ASSERT(kTablesAt + tables.bytes.size() <= 0x100000);
  TRY_DURING("cannot place the ACPI tables",
             memory.write(guest::Gpa{kTablesAt}, std::as_bytes(std::span(tables.bytes))));
  return tables.rsdp;
}

}  // namespace berth::vmm

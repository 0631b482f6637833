// The ACPI tables that describe the board (ACPI 6.4, 5.2; PCI Firmware 3.2 for MCFG).
#pragma once

#include <cstdint>
#include <vector>

namespace berth::device {

struct AcpiBoard {
  unsigned processors = 1;             // with local APIC ids from 0
  std::uint64_t ecam_base = 0;         // of bus 0, the only one
  std::uint32_t pci_window_start = 0;  // 32-bit memory for functions
  std::uint32_t pci_window_end = 0;    // the first byte after it
};

struct AcpiTables {
  std::vector<std::uint8_t> bytes;  // to be put at the address they were built for
  std::uint64_t rsdp = 0;           // guest address of the root pointer
};

// For the guest-physical address `at`, a multiple of 64 below 4 GiB.
AcpiTables build_acpi_tables(const AcpiBoard& board, std::uint32_t at);

}  // namespace berth::device

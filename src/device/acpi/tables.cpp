#include "device/acpi/tables.hpp"

#include <fmt/core.h>

#include <numeric>
#include <string_view>

#include "base/result.hpp"
#include "device/acpi/aml.hpp"
#include "device/acpi/power.hpp"
#include "device/irq/io_apic.hpp"
#include "device/irq/local_apic.hpp"
#include "device/legacy/control_ports.hpp"
#include "device/legacy/serial.hpp"
#include "device/pci/host.hpp"

namespace berth::device {
namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr std::size_t kHeaderBytes = 36;

void put(Bytes& table, std::size_t offset, std::uint64_t value, unsigned bytes) {
  BERTH_ASSERT(offset + bytes <= table.size());
  for (unsigned i = 0; i < bytes; ++i) table[offset + i] = static_cast<std::uint8_t>(value >> (8 * i));
}
void append(Bytes& table, std::uint64_t value, unsigned bytes) {
  table.resize(table.size() + bytes);
  put(table, table.size() - bytes, value, bytes);
}
void put_text(Bytes& table, std::size_t offset, std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) table[offset + i] = static_cast<std::uint8_t>(text[i]);
}

std::uint8_t checksum(const Bytes& bytes, std::size_t count) {
  const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(count);
  return static_cast<std::uint8_t>(-std::accumulate(bytes.begin(), end, 0));
}

// A system description table's header (ACPI 6.4, 5.2.6), space for `body_bytes` after it.
Bytes make_table(std::string_view signature, std::uint8_t revision, std::size_t body_bytes = 0) {
  Bytes table(kHeaderBytes + body_bytes);
  put_text(table, 0, signature);
  table[8] = revision;
  put_text(table, 10, "BERTH BERTHVM ");
  put(table, 24, 1, 4);
  put_text(table, 28, "BRTH");
  put(table, 32, 1, 4);
  return table;
}

Bytes finish(Bytes table) {
  put(table, 4, table.size(), 4);
  table[9] = 0;
  table[9] = checksum(table, table.size());
  return table;
}

aml::Bytes with_id(std::string_view hid, const aml::Bytes& rest) {
  const auto id = hid.starts_with("PNP") ? aml::eisa_id(hid) : aml::string(hid);
  return aml::join({aml::name("_HID", id), rest});
}

aml::Bytes pci_bridge(const AcpiBoard& board) {
  const auto windows = aml::join({
      aml::bus_numbers(0, 0),
      aml::io_ports(0xcf8, 8),
      aml::port_window(0x0000, 0x0cf7),
      aml::port_window(0x0d00, 0xffff),
      aml::memory_window(board.pci_window_start, board.pci_window_end - 1),
  });
  return aml::device("PCI0", with_id("PNP0A08", aml::join({
                                                    aml::name("_CID", aml::eisa_id("PNP0A03")),
                                                    aml::name("_UID", aml::integer(0)),
                                                    aml::name("_SEG", aml::integer(0)),
                                                    aml::name("_BBN", aml::integer(0)),
                                                    aml::name("_CRS", aml::resources(windows)),
                                                })));
}

aml::Bytes simple_device(std::string_view object, std::string_view hid, const aml::Bytes& descriptors) {
  return aml::device(object, with_id(hid, aml::join({aml::name("_UID", aml::integer(1)),
                                                     aml::name("_CRS", aml::resources(descriptors))})));
}

aml::Bytes processors(unsigned count) {
  aml::Bytes all;
  for (unsigned i = 0; i < count; ++i) {
    const auto terms = with_id("ACPI0007", aml::name("_UID", aml::integer(i)));
    all = aml::join({all, aml::device(fmt::format("C{:03X}", i), terms)});
  }
  return all;
}

Bytes dsdt(const AcpiBoard& board) {
  const auto sleep = aml::integer(kSleepTypeOff);
  const auto serial = aml::join({aml::io_ports(kCom1, kSerialPorts), aml::irq(kCom1Irq)});
  // Linux believes MCFG only where a motherboard resource reserves the space.
  const auto ecam = aml::fixed_memory(static_cast<std::uint32_t>(board.ecam_base),
                                      static_cast<std::uint32_t>(kEcamBytes), true);
  const auto devices = aml::join({
      pci_bridge(board),
      simple_device("COM1", "PNP0501", serial),
      simple_device("RTC0", "PNP0B00", aml::io_ports(0x70, 2)),
      simple_device("PANC", "QEMU0001", aml::io_ports(PanicPort::kPort, 1)),
      simple_device("ECAM", "PNP0C02", ecam),
      processors(board.processors),
  });
  Bytes table = make_table("DSDT", 2);
  const auto code =
      aml::join({aml::name("_S5_", aml::package({sleep, sleep, aml::integer(0), aml::integer(0)})),
                 aml::scope("\\_SB_", devices)});
  table.insert(table.end(), code.begin(), code.end());
  return finish(std::move(table));
}

// A generic address of I/O space (ACPI 6.4, 5.2.3.2): its width in bits and the access size's code.
void put_port(Bytes& table, std::size_t offset, std::uint16_t port, std::uint8_t bits, std::uint8_t access) {
  table[offset] = 1;
  table[offset + 1] = bits;
  table[offset + 3] = access;
  put(table, offset + 4, port, 8);
}

// Offsets are those of ACPI 6.4, table 5-9.
Bytes fadt(std::uint32_t facs_at, std::uint32_t dsdt_at) {
  constexpr std::uint32_t kWbinvd = 1 << 0, kC1 = 1 << 2, kNoSleepButton = 1 << 5, kTimer32 = 1 << 8,
                          kResetRegister = 1 << 10, kHeadless = 1 << 12;
  constexpr std::uint16_t kLegacyDevices = 1 << 0, kNoVga = 1 << 2;  // and no 8042
  Bytes table = make_table("FACP", 6, 276 - kHeaderBytes);
  put(table, 36, facs_at, 4);
  put(table, 40, dsdt_at, 4);
  put(table, 46, kSciIrq, 2);
  put(table, 56, kPm1Event, 4);
  put(table, 64, kPm1Control, 4);
  put(table, 76, kPmTimer, 4);
  table[88] = 4;  // lengths of the three register blocks
  table[89] = 2;
  table[91] = 4;
  put(table, 96, 0xfff, 2);  // no C2
  put(table, 98, 0xfff, 2);  // no C3
  table[108] = 0x32;         // CMOS index of the century
  put(table, 109, kLegacyDevices | kNoVga, 2);
  put(table, 112, kWbinvd | kC1 | kNoSleepButton | kTimer32 | kResetRegister | kHeadless, 4);
  put_port(table, 116, kResetPort, 8, 1);
  table[128] = kResetValue;
  table[131] = 4;  // minor version: ACPI 6.4
  put(table, 140, dsdt_at, 8);
  put_port(table, 148, kPm1Event, 32, 2);
  put_port(table, 172, kPm1Control, 16, 2);
  put_port(table, 208, kPmTimer, 32, 3);
  return finish(std::move(table));
}

Bytes facs() {
  Bytes table(64);
  put_text(table, 0, "FACS");
  put(table, 4, table.size(), 4);
  table[32] = 2;
  return table;
}

Bytes madt(const AcpiBoard& board) {
  constexpr std::uint16_t kLevelHigh = 0x000d;  // flags: polarity high, level-triggered
  Bytes table = make_table("APIC", 5);
  append(table, kApicBase, 4);
  append(table, 1, 4);  // a PC-AT PIC pair is there too
  for (unsigned i = 0; i < board.processors; ++i) {
    append(table, 0x0800, 2);  // type 0: processor local APIC, 8 bytes
    append(table, i, 1);
    append(table, i, 1);
    append(table, 1, 4);  // enabled
  }
  append(table, 0x0c01, 2);  // type 1: I/O APIC
  append(table, 0, 2);
  append(table, kIoApicBase, 4);
  append(table, 0, 4);
  append(table, 0x0a02, 2);  // type 2: the timer's ISA line 0 is pin 2
  append(table, 0x0000, 2);
  append(table, 2, 4);
  append(table, 0, 2);
  append(table, 0x0a02, 2);  // the SCI
  append(table, kSciIrq << 8, 2);
  append(table, kSciIrq, 4);
  append(table, kLevelHigh, 2);
  append(table, 0x0604, 2);  // type 4: LINT1 of every processor is NMI
  append(table, 0xff, 1);
  append(table, 0, 2);
  append(table, 1, 1);
  return finish(std::move(table));
}

Bytes mcfg(const AcpiBoard& board) {
  Bytes table = make_table("MCFG", 1, 8);
  append(table, board.ecam_base, 8);
  append(table, 0, 8);  // segment 0, buses 0 to 0
  return finish(std::move(table));
}

Bytes xsdt(const std::vector<std::uint32_t>& tables) {
  Bytes table = make_table("XSDT", 1);
  for (const std::uint32_t address : tables) append(table, address, 8);
  return finish(std::move(table));
}

Bytes rsdp(std::uint32_t xsdt_at) {
  Bytes pointer(36);
  put_text(pointer, 0, "RSD PTR ");
  put_text(pointer, 9, "BERTH ");
  pointer[15] = 2;
  put(pointer, 20, pointer.size(), 4);
  put(pointer, 24, xsdt_at, 8);
  pointer[8] = checksum(pointer, 20);
  pointer[32] = checksum(pointer, pointer.size());
  return pointer;
}

}  // namespace

AcpiTables build_acpi_tables(const AcpiBoard& board, std::uint32_t at) {
  BERTH_ASSERT(at % 64 == 0);
  AcpiTables out;
  const auto place = [&](const Bytes& table) {
    out.bytes.resize((out.bytes.size() + 63) / 64 * 64);
    const auto address = at + static_cast<std::uint32_t>(out.bytes.size());
    out.bytes.insert(out.bytes.end(), table.begin(), table.end());
    return address;
  };
  const std::uint32_t facs_at = place(facs());
  const std::uint32_t dsdt_at = place(dsdt(board));
  const std::uint32_t xsdt_at =
      place(xsdt({place(fadt(facs_at, dsdt_at)), place(madt(board)), place(mcfg(board))}));
  out.rsdp = place(rsdp(xsdt_at));
  return out;
}

}  // namespace berth::device

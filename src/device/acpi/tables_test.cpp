#include "device/acpi/tables.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <numeric>
#include <string>

#include "device/acpi/aml.hpp"
#include "sys/command.hpp"
#include "sys/fd.hpp"

namespace berth::device {
namespace {

constexpr std::uint32_t kAt = 0xe0000;
constexpr AcpiBoard kBoard{
    .processors = 8, .ecam_base = 0xe0000000, .pci_window_start = 0xc0000000, .pci_window_end = 0xe0000000};

template <typename T>
T at(const AcpiTables& tables, std::uint64_t address) {
  T value{};
  EXPECT_LE(address - kAt + sizeof value, tables.bytes.size());
  std::memcpy(&value, tables.bytes.data() + (address - kAt), sizeof value);
  return value;
}

std::string signature(const AcpiTables& tables, std::uint64_t address) {
  return {reinterpret_cast<const char*>(tables.bytes.data()) + (address - kAt), 4};
}

unsigned sum(const AcpiTables& tables, std::uint64_t address, std::size_t bytes) {
  const auto first = tables.bytes.begin() + static_cast<std::ptrdiff_t>(address - kAt);
  return std::accumulate(first, first + static_cast<std::ptrdiff_t>(bytes), 0U) & 0xff;
}

TEST(AcpiTables, EveryTableIsReachedAndSumsToZero) {
  const AcpiTables tables = build_acpi_tables(kBoard, kAt);
  EXPECT_EQ(sum(tables, tables.rsdp, 36), 0U);
  const auto xsdt = at<std::uint64_t>(tables, tables.rsdp + 24);
  EXPECT_EQ(signature(tables, xsdt), "XSDT");
  std::vector<std::string> found;
  for (std::uint64_t entry = xsdt + 36; entry < xsdt + at<std::uint32_t>(tables, xsdt + 4); entry += 8) {
    const auto table = at<std::uint64_t>(tables, entry);
    EXPECT_EQ(sum(tables, table, at<std::uint32_t>(tables, table + 4)), 0U) << signature(tables, table);
    found.push_back(signature(tables, table));
  }
  EXPECT_EQ(found, (std::vector<std::string>{"FACP", "APIC", "MCFG"}));
}

TEST(AcpiTables, MadtListsEachProcessor) {
  const AcpiTables tables = build_acpi_tables(kBoard, kAt);
  const auto xsdt = at<std::uint64_t>(tables, tables.rsdp + 24);
  const auto madt = at<std::uint64_t>(tables, xsdt + 36 + 8);
  unsigned processors = 0;
  for (std::uint64_t entry = madt + 44; entry < madt + at<std::uint32_t>(tables, madt + 4);
       entry += at<std::uint8_t>(tables, entry + 1)) {
    if (at<std::uint8_t>(tables, entry) == 0) ++processors;
  }
  EXPECT_EQ(processors, 8U);
}

// ACPICA's own disassembler reads the DSDT and finds what is in it.
TEST(AcpiTables, AnotherReaderUnderstandsTheDsdt) {
  const AcpiTables tables = build_acpi_tables(kBoard, kAt);
  const auto xsdt = at<std::uint64_t>(tables, tables.rsdp + 24);
  const auto fadt = at<std::uint64_t>(tables, xsdt + 36);
  const auto dsdt = at<std::uint64_t>(tables, fadt + 140);
  std::string directory = testing::TempDir() + "berth-aml-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::string image(reinterpret_cast<const char*>(tables.bytes.data()) + (dsdt - kAt),
                          at<std::uint32_t>(tables, dsdt + 4));
  ASSERT_TRUE(sys::replace_file(directory + "/dsdt.aml", image));
  const auto ran = sys::run_command({"iasl", "-d", "-p", directory + "/dsdt", directory + "/dsdt.aml"}, {});
  const auto text = sys::read_file(directory + "/dsdt.dsl");
  EXPECT_TRUE(sys::remove_tree(directory));
  if (!ran) GTEST_SKIP() << "needs iasl (acpica-tools): " << ran.error().message;
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(ran->exit_code, 0);
  for (const char* part :
       {"PNP0A08", "PNP0501", "QEMU0001", "Device (C007)", "_S5", "0xC0000000", "0xDFFFFFFF"})
    EXPECT_NE(text->find(part), std::string::npos) << part << " in\n" << *text;
}

TEST(Aml, LengthsOfAllSizes) {
  EXPECT_EQ(aml::integer(0x1234), (aml::Bytes{0x0b, 0x34, 0x12}));
  EXPECT_EQ(aml::eisa_id("PNP0A08"), (aml::Bytes{0x0c, 0x41, 0xd0, 0x0a, 0x08}));
  EXPECT_EQ(aml::scope("\\_SB_", {})[1], 6);
  const aml::Bytes large = aml::scope("\\_SB_", aml::Bytes(100));
  EXPECT_EQ(large[1], 0x40 | (107 & 15));
  EXPECT_EQ(large[2], 107 >> 4);
  EXPECT_EQ(aml::scope("\\_SB_", aml::Bytes(5000)).size(), 5000U + 1 + 3 + 5);
}

}  // namespace
}  // namespace berth::device

#include <elf.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "vmm/load/elf.hpp"
#include "vmm/load/kernel.hpp"
#include "vmm/load/layout.hpp"
#include "vmm/load/parts.hpp"

namespace berth::vmm {
namespace {

using x86::Gpr;

template <typename T>
void put(std::vector<std::byte>& file, std::size_t offset, const T& value) {
  if (file.size() < offset + sizeof value) file.resize(offset + sizeof value);
  std::memcpy(file.data() + offset, &value, sizeof value);
}

// One segment of 16 bytes 0xaa at 1 MiB (32 bytes in memory), and a PVH note.
std::vector<std::byte> pvh_kernel() {
  std::vector<std::byte> file;
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_machine = EM_X86_64;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  put(file, 0, header);
  Elf64_Phdr load{};
  load.p_type = PT_LOAD;
  load.p_offset = 0x200;
  load.p_paddr = 0x100000;
  load.p_filesz = 16;
  load.p_memsz = 32;
  put(file, sizeof header, load);
  Elf64_Phdr note{};
  note.p_type = PT_NOTE;
  note.p_offset = 0x300;
  note.p_filesz = 20;
  put(file, sizeof header + sizeof load, note);
  put(file, 0x300, Elf64_Nhdr{4, 4, 18});
  put(file, 0x30c, std::array<char, 4>{'X', 'e', 'n', '\0'});
  put(file, 0x310, std::uint32_t{0x100008});
  std::fill_n(file.begin() + 0x200, 16, std::byte{0xaa});
  return file;
}

std::vector<std::byte> bzimage() {
  std::vector<std::byte> file(0x600, std::byte{0});
  put(file, 0x1f1, std::uint8_t{1});  // one sector of set-up code after the first
  put(file, 0x1fe, std::uint16_t{0xaa55});
  put(file, 0x202, std::uint32_t{0x53726448});
  put(file, 0x206, std::uint16_t{0x20f});
  put(file, 0x22c, std::uint32_t{0x7fffffff});
  put(file, 0x236, std::uint16_t{1});
  put(file, 0x238, std::uint32_t{2047});
  put(file, 0x258, std::uint64_t{0x1000000});
  put(file, 0x260, std::uint32_t{0x10000});
  put(file, 0x400, std::uint32_t{0xfeedface});
  return file;
}

std::vector<std::byte> multiboot_kernel() {
  std::vector<std::byte> file(0x200, std::byte{0x90});
  const std::uint32_t flags = 0x10000;
  put(file, 0x40,
      std::array<std::uint32_t, 8>{0x1badb002, flags, 0 - 0x1badb002U - flags, 0x100040, 0x100000, 0,
                                   0x101000, 0x100080});
  return file;
}

class LoadTest : public testing::Test {
 protected:
  template <typename T>
  T guest_value(std::uint64_t address) {
    T value{};
    EXPECT_TRUE(memory_.read(guest::Gpa{address}, std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  Result<x86::CpuState> load(const std::vector<std::byte>& file) {
    return load_kernel(memory_,
                       {.file = file, .initramfs = initramfs_, .command_line = "quiet", .rsdp = 0xe0040});
  }
  std::string error_of(const std::vector<std::byte>& file) {
    const auto loaded = load(file);
    return loaded ? "" : loaded.error().message;
  }
  guest::GuestMemory memory_ = *guest::GuestMemory::create(std::uint64_t{64} << 20);
  std::vector<std::byte> initramfs_ = std::vector<std::byte>(5000, std::byte{0x77});
};

TEST_F(LoadTest, PvhStartsInProtectedModeWithItsStartInfo) {
  const auto state = load(pvh_kernel());
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(state->rip, 0x100008U);
  EXPECT_EQ(state->cr0 & 0x80000001, 1U) << "protected mode, no paging";
  EXPECT_EQ(guest_value<std::uint64_t>(0x100008), 0xaaaaaaaaaaaaaaaaU);
  const std::uint64_t info = state->gpr[static_cast<std::size_t>(Gpr::Rbx)];
  EXPECT_EQ(guest_value<std::uint32_t>(info), 0x336ec578U);
  EXPECT_EQ(guest_value<std::uint64_t>(info + 32), 0xe0040U);
  const auto modules = guest_value<std::uint64_t>(info + 16);
  const auto initramfs = guest_value<std::uint64_t>(modules);
  EXPECT_EQ(guest_value<std::uint64_t>(modules + 8), 5000U);
  EXPECT_EQ(guest_value<std::uint8_t>(initramfs + 4999), 0x77);
  EXPECT_EQ(initramfs % 4096, 0U);
  const auto text = memory_.at(guest::Gpa{guest_value<std::uint64_t>(info + 24)}, 6);
  EXPECT_EQ(std::memcmp(text.data(), "quiet", 6), 0);
}

TEST_F(LoadTest, BzImageStartsInLongModeWithItsZeroPage) {
  const auto state = load(bzimage());
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(state->rip, 0x1000200U);
  EXPECT_EQ(state->efer & 0x500, 0x500U);
  EXPECT_EQ(guest_value<std::uint32_t>(0x1000000), 0xfeedfaceU);
  const std::uint64_t zero_page = state->gpr[static_cast<std::size_t>(Gpr::Rsi)];
  EXPECT_EQ(guest_value<std::uint8_t>(zero_page + 0x1e8), 4U) << "memory ranges";
  EXPECT_EQ(guest_value<std::uint32_t>(zero_page + 0x21c), 5000U) << "initramfs";
  EXPECT_EQ(guest_value<std::uint8_t>(zero_page + 0x210), 0xffU) << "loader";
  // Address 0x1000000 is itself by the tables: 1 GiB entry 0, 2 MiB entry 8.
  const auto directory =
      guest_value<std::uint64_t>((guest_value<std::uint64_t>(state->cr3) & ~0xfffULL)) & ~0xfffULL;
  EXPECT_EQ(guest_value<std::uint64_t>(directory + 8 * 8), 0x1000083U);
}

TEST_F(LoadTest, BzImageWithoutA64BitEntryStartsInProtectedMode) {
  auto file = bzimage();
  put(file, 0x236, std::uint16_t{0});
  const auto state = load(file);
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(state->rip, 0x1000000U);
  EXPECT_EQ(state->cr0 & 0x80000001, 1U) << "protected mode, no paging";
  EXPECT_EQ(state->efer & 0x500, 0U);
  EXPECT_EQ(state->segment(x86::SegmentName::Cs).selector, 0x10);
  EXPECT_EQ(state->segment(x86::SegmentName::Ds).selector, 0x18);
  for (const Gpr zero : {Gpr::Rbx, Gpr::Rbp, Gpr::Rdi})
    EXPECT_EQ(state->gpr[static_cast<std::size_t>(zero)], 0U);
  const std::uint64_t zero_page = state->gpr[static_cast<std::size_t>(Gpr::Rsi)];
  EXPECT_EQ(guest_value<std::uint8_t>(zero_page + 0x1e8), 4U) << "memory ranges";
}

TEST_F(LoadTest, MultibootByItsAddresses) {
  const auto state = load(multiboot_kernel());
  ASSERT_TRUE(state) << state.error().message;
  EXPECT_EQ(state->rip, 0x100080U);
  EXPECT_EQ(state->gpr[static_cast<std::size_t>(Gpr::Rax)], 0x2badb002U);
  EXPECT_EQ(guest_value<std::uint8_t>(0x1001ff), 0x90);
  const std::uint64_t info = state->gpr[static_cast<std::size_t>(Gpr::Rbx)];
  EXPECT_EQ(guest_value<std::uint32_t>(info) & 0x4d, 0x4dU);
  EXPECT_EQ(guest_value<std::uint32_t>(info + 8), (64U - 1) * 1024);
}

TEST_F(LoadTest, SaysWhatIsWrongWithAFile) {
  EXPECT_NE(error_of({}).find("neither a bzImage nor an ELF"), std::string::npos);
  auto file = bzimage();
  put(file, 0x206, std::uint16_t{0x20b});
  EXPECT_NE(error_of(file).find("boot protocol 2.11"), std::string::npos);
  file = bzimage();
  put(file, 0x1f1, std::uint8_t{200});
  EXPECT_NE(error_of(file).find("set-up code"), std::string::npos);
  file = bzimage();
  put(file, 0x260, std::uint32_t{0x7fffffff});
  EXPECT_NE(error_of(file).find("the machine has 64"), std::string::npos);
  file = pvh_kernel();
  put(file, 0x308, std::uint32_t{17});  // another note
  EXPECT_NE(error_of(file).find("no PVH entry"), std::string::npos);
  file = pvh_kernel();
  put(file, sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_offset), ~std::uint64_t{0});
  EXPECT_NE(error_of(file).find("outside the file"), std::string::npos);
  file = pvh_kernel();
  put(file, sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_paddr), std::uint64_t{0x1000});
  EXPECT_NE(error_of(file).find("memory at 0x1000"), std::string::npos)
      << "the first megabyte is not a kernel's";
  file = multiboot_kernel();
  put(file, 0x4c, std::uint32_t{0x10});  // the header before the image
  EXPECT_NE(error_of(file).find("disagree"), std::string::npos);
}

TEST_F(LoadTest, AnInitramfsThatDoesNotFitIsRefused) {
  initramfs_.resize(std::size_t{63} << 20);
  EXPECT_NE(error_of(pvh_kernel()).find("initramfs"), std::string::npos);
}

TEST_F(LoadTest, ALongCommandLineIsRefused) {
  const auto file = bzimage();
  const auto loaded = load_kernel(memory_, {.file = file, .command_line = std::string(2048, 'x')});
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("2047"), std::string::npos);
}

}  // namespace
}  // namespace berth::vmm

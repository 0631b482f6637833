#include "vmm/load/parts.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "sys/mapping.hpp"

namespace berth::vmm {
namespace {

using x86::Segment;
using x86::SegmentName;

constexpr std::uint64_t kPresentWrite = 3, kLarge = 1 << 7;
constexpr std::uint64_t kCr0Protected = 0x11, kCr0Paging = std::uint64_t{1} << 31, kCr4Pae = 1 << 5;
constexpr std::uint64_t kEferLong = 0x500;  // LME, LMA
// Selectors as Linux's boot protocol wants them: code 0x10, data 0x18.
constexpr std::array<std::uint64_t, 5> kFlatGdt{0, 0, 0x00cf9b000000ffff, 0x00cf93000000ffff,
                                                0x008f8b000000ffff};
constexpr std::array<std::uint64_t, 5> kLongGdt{0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff,
                                                0x008f8b000000ffff};

void set_flat_segments(x86::CpuState& state, std::uint16_t code_attributes) {
  state.segments.fill({.base = 0, .limit = 0xffffffff, .selector = 0x18, .attributes = 0xc93});
  state.segment(SegmentName::Cs) = {
      .base = 0, .limit = 0xffffffff, .selector = 0x10, .attributes = code_attributes};
  state.tr = {.base = 0, .limit = 0xffff, .selector = 0x20, .attributes = 0x8b};
  state.gdtr = {kGdtAt, sizeof kFlatGdt - 1};
  state.idtr = {0, 0};
}

}  // namespace

Result<void> load_segment(const guest::GuestMemory& memory, std::uint64_t address,
                          std::span<const std::byte> data, std::uint64_t memory_bytes) {
  BERTH_ASSERT(data.size() <= memory_bytes);
  const auto target = memory.at(guest::Gpa{address}, memory_bytes);
  if (address < kHighRamStart || target.size() != memory_bytes) {
    return fail(Code::ResourceExhausted,
                fmt::format("the kernel needs {} of memory at {:#x}, and the machine has {}: give it more",
                            format_size(memory_bytes), address, format_size(memory.bytes())));
  }
  if (data.empty()) return {};
  sys::populate(data);
  return memory.load(guest::Gpa{address}, data);
}

Result<void> load_command_line(const guest::GuestMemory& memory, const std::string& text,
                               std::uint64_t limit) {
  if (text.size() > limit || text.find('\0') != std::string::npos) {
    return fail(Code::InvalidArgument,
                fmt::format("command line: {} characters, without a zero among them, is the most that this "
                            "kernel takes",
                            limit));
  }
  return memory.write(guest::Gpa{kCommandLineAt}, std::as_bytes(std::span(text.c_str(), text.size() + 1)));
}

Result<std::uint64_t> load_initramfs(const guest::GuestMemory& memory, std::span<const std::byte> file,
                                     std::uint64_t floor, std::uint64_t limit) {
  const std::uint64_t end = std::min(limit, memory.regions().front().bytes) & ~(guest::kPageBytes - 1);
  const std::uint64_t size = (file.size() + guest::kPageBytes - 1) & ~(guest::kPageBytes - 1);
  if (size > end || end - size < floor) {
    return fail(
        Code::ResourceExhausted,
        fmt::format("the initramfs of {} does not fit beside the kernel into {} of memory: give it more",
                    format_size(file.size()), format_size(memory.bytes())));
  }
  TRY(memory.write(guest::Gpa{end - size}, file));
  return end - size;
}

x86::CpuState protected_mode_state(std::uint64_t entry) {
  x86::CpuState state = x86::power_on_state();
  set_flat_segments(state, 0xc9b);
  state.cr0 = kCr0Protected;
  state.rip = entry;
  state.reg(x86::Gpr::Rdx) = 0;
  return state;
}

Result<x86::CpuState> long_mode_state(const guest::GuestMemory& memory, std::uint64_t entry) {
  TRY(write_object(memory, kGdtAt, kLongGdt));
  std::array<std::uint64_t, 6 * 512> tables{};  // PML4, PDPT, four page directories
  tables[0] = (kPageTablesAt + 0x1000) | kPresentWrite;
  for (std::uint64_t i = 0; i < 4; ++i) tables[512 + i] = (kPageTablesAt + (2 + i) * 0x1000) | kPresentWrite;
  for (std::uint64_t i = 0; i < 4 * 512; ++i) tables[1024 + i] = i << 21 | kPresentWrite | kLarge;
  TRY(write_object(memory, kPageTablesAt, tables));

  x86::CpuState state = x86::power_on_state();
  set_flat_segments(state, 0xa9b);
  state.cr0 = kCr0Protected | kCr0Paging;
  state.cr4 = kCr4Pae;
  state.cr3 = kPageTablesAt;
  state.efer = kEferLong;
  state.rip = entry;
  state.reg(x86::Gpr::Rdx) = 0;
  state.reg(x86::Gpr::Rsp) = kBootStackAt;
  return state;
}

Result<x86::CpuState> load_kernel(const guest::GuestMemory& memory, const KernelImage& image) {
  TRY(write_object(memory, kGdtAt, kFlatGdt));
  if (is_bzimage(image.file)) return load_bzimage(memory, image);
  if (is_multiboot(image.file)) return load_multiboot(memory, image);
  if (is_elf(image.file)) return load_pvh(memory, image);
  return fail(Code::InvalidArgument,
              "kernel: neither a bzImage nor an ELF file for PVH or multiboot: is it a kernel for x86-64?");
}

}  // namespace berth::vmm

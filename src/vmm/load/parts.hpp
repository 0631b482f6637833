// What the loaders share: reading a file that may lie, writing guest memory, initial processor states.
#pragma once

#include <cstring>
#include <optional>

#include "vmm/load/kernel.hpp"
#include "vmm/load/layout.hpp"

namespace berth::vmm {

// A T at `offset` of the file; nullopt where the file ends before.
template <typename T>
std::optional<T> read_at(std::span<const std::byte> file, std::uint64_t offset) {
  if (offset > file.size() || file.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

template <typename T>
Result<void> write_object(const guest::GuestMemory& memory, std::uint64_t address, const T& value) {
  return memory.write(guest::Gpa{address}, std::as_bytes(std::span(&value, 1)));
}

// Copies `data`; the rest up to `memory_bytes` is zero because fresh memory is. Refuses what is not RAM or
// lies in the first megabyte.
Result<void> load_segment(const guest::GuestMemory& memory, std::uint64_t address,
                          std::span<const std::byte> data, std::uint64_t memory_bytes);
// With its terminating zero, to kCommandLineAt; at most `limit` characters.
Result<void> load_command_line(const guest::GuestMemory& memory, const std::string& text,
                               std::uint64_t limit = kMaxCommandLine - 1);
// As high as possible below `limit` and not below `floor` (the kernel's end); gives its address.
Result<std::uint64_t> load_initramfs(const guest::GuestMemory& memory, std::span<const std::byte> file,
                                     std::uint64_t floor, std::uint64_t limit);

// 32-bit protected mode with flat segments and no paging, interrupts off.
x86::CpuState protected_mode_state(std::uint64_t entry);
// 64-bit mode with the first 4 GiB mapped one to one; writes the tables for it.
Result<x86::CpuState> long_mode_state(const guest::GuestMemory& memory, std::uint64_t entry);

bool is_bzimage(std::span<const std::byte> file);
Result<x86::CpuState> load_bzimage(const guest::GuestMemory& memory, const KernelImage& image);
bool is_elf(std::span<const std::byte> file);
Result<x86::CpuState> load_pvh(const guest::GuestMemory& memory, const KernelImage& image);
bool is_multiboot(std::span<const std::byte> file);
Result<x86::CpuState> load_multiboot(const guest::GuestMemory& memory, const KernelImage& image);

}  // namespace berth::vmm

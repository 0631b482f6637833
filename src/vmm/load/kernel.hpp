// From a kernel's file to a processor that is about to run it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "guest/memory.hpp"
#include "x86/cpu_state.hpp"

namespace berth::vmm {

struct KernelImage {
  std::span<const std::byte> file;       // bzImage, vmlinux with a PVH note, or multiboot 1
  std::span<const std::byte> initramfs;  // may be empty
  std::string command_line;
  std::uint64_t rsdp = 0;  // guest address of ACPI's root pointer
};

// Recognises the format, puts everything into memory and gives the bootstrap processor's state.
// InvalidArgument names what is wrong with the file; ResourceExhausted where memory is too small for it.
Result<x86::CpuState> load_kernel(const guest::GuestMemory& memory, const KernelImage& image);

}  // namespace berth::vmm

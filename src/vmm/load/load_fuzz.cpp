// Kernels are files from strangers: whatever is in one, loading it ends in a state or an error.
#include <cstdint>

#include "vmm/load/kernel.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto memory = berth::guest::GuestMemory::create(std::uint64_t{32} << 20);
  const auto file = std::as_bytes(std::span(data, size));
  const auto state = berth::vmm::load_kernel(*memory, {.file = file, .command_line = "console=ttyS0"});
  if (!state && state.error().message.empty()) __builtin_trap();
  return 0;
}

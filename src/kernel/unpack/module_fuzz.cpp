// Modules and kernel images made of anything.
#include "kernel/unpack/image.hpp"
#include "kernel/unpack/module_info.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view file(reinterpret_cast<const char*>(data), size);
  static_cast<void>(berth::kernel::read_module_info(file));
  static_cast<void>(berth::kernel::without_signature(file));
  static_cast<void>(berth::kernel::read_kernel_image(std::string(file)));
  return 0;
}

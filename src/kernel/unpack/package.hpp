// Debian's kernel packages (deb(5)).
#pragma once

#include "kernel/unpack/guest_modules.hpp"
#include "kernel/unpack/image.hpp"

namespace berth::kernel {

struct UnpackedKernel {
  KernelImage image;
  std::vector<std::string> modules;  // in the order of loading
  std::string modules_archive;
};

bool is_package(std::string_view first_bytes);

// Reads the package twice: to learn what its modules need, and to take those that a guest needs.
Result<UnpackedKernel> read_package(const std::string& path);
// The same of a kernel image and a directory of modules, such as /lib/modules/6.1.0-56-amd64; "": the kernel
// has all it needs in it.
Result<UnpackedKernel> read_image_with_modules(const std::string& path, const std::string& modules);

}  // namespace berth::kernel

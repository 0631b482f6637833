// Kernel images: the ELF file that a bzImage carries.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::kernel {

inline constexpr std::size_t kMaxImageBytes = std::size_t{256} << 20;

struct KernelImage {
  std::string vmlinux;  // an ELF file
  std::string release;  // "6.1.0-56-cloud-amd64"; "" where the file does not say
};

// From a bzImage (boot protocol 2.08 or newer; compressed with gzip, bzip2, xz, lzma, zstd or lz4) or an ELF
// file. InvalidArgument where it is neither, DataLoss where it is damaged.
Result<KernelImage> read_kernel_image(std::string file);

}  // namespace berth::kernel

// Archives in the "newc" form that Linux unpacks as its initramfs
// (Documentation/driver-api/early-userspace/buffer-format.rst).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace berth::kernel {

class CpioWriter {
 public:
  void directory(std::string_view path, std::uint32_t permissions = 0755);
  void file(std::string_view path, std::string_view content, std::uint32_t permissions = 0644);
  // The archive; another may follow it directly.
  std::string finish() &&;

 private:
  void entry(std::string_view path, std::uint32_t mode, std::string_view content);
  std::string bytes_;
  std::uint32_t inode_ = 0;
};

}  // namespace berth::kernel

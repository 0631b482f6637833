#include "kernel/store/cpio.hpp"

#include <fmt/core.h>
#include <sys/stat.h>

namespace berth::kernel {
namespace {

void pad(std::string& bytes) { bytes.resize((bytes.size() + 3) & ~std::size_t{3}); }

}  // namespace

void CpioWriter::entry(std::string_view path, std::uint32_t mode, std::string_view content) {
  bytes_ += "070701";
  const auto name_bytes = static_cast<std::uint32_t>(path.size() + 1);
  const auto content_bytes = static_cast<std::uint32_t>(content.size());
  // inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name's size, checksum
  for (const std::uint32_t field :
       {++inode_, mode, 0U, 0U, 1U, 0U, content_bytes, 0U, 0U, 0U, 0U, name_bytes, 0U})
    bytes_ += fmt::format("{:08x}", field);
  bytes_.append(path).push_back('\0');
  pad(bytes_);
  bytes_.append(content);
  pad(bytes_);
}

void CpioWriter::directory(std::string_view path, std::uint32_t permissions) {
  entry(path, S_IFDIR | permissions, "");
}

void CpioWriter::file(std::string_view path, std::string_view content, std::uint32_t permissions) {
  entry(path, S_IFREG | permissions, content);
}

std::string CpioWriter::finish() && {
  entry("TRAILER!!!", 0, "");
  return std::move(bytes_);
}

}  // namespace berth::kernel

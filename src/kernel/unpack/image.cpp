#include "kernel/unpack/image.hpp"

#include <cstdint>
#include <cstring>
#include <optional>

#include "kernel/unpack/archive.hpp"

namespace berth::kernel {
namespace {

// Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
constexpr std::size_t kSetupSectors = 0x1f1, kMagic = 0x202, kProtocol = 0x206, kVersionText = 0x20e,
                      kPayloadOffset = 0x248, kPayloadLength = 0x24c;
constexpr std::uint16_t kFirstWithPayload = 0x208;
constexpr std::string_view kElfMagic =
    "\x7f"
    "ELF";
constexpr std::string_view kBanner = "Linux version ";

template <typename T>
std::optional<T> number_at(std::string_view bytes, std::size_t offset) {
  T value;
  if (offset > bytes.size() || bytes.size() - offset < sizeof value) return std::nullopt;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// The first word at `offset`, of at most 64 characters.
std::string word_at(std::string_view bytes, std::size_t offset) {
  const std::string_view text = offset < bytes.size() ? bytes.substr(offset, 64) : std::string_view();
  return std::string(text.substr(0, text.find_first_of(std::string_view(" \0\n", 3))));
}

bool is_bzimage(std::string_view file) {
  return file.size() > kPayloadLength + 4 && file.substr(kMagic, 4) == "HdrS";
}

Result<std::string_view> payload_of(std::string_view file) {
  if (number_at<std::uint16_t>(file, kProtocol).value_or(0) < kFirstWithPayload)
    return fail(Code::InvalidArgument, "the bzImage is of a boot protocol before 2.08 and names no payload");
  const std::uint8_t sectors = static_cast<std::uint8_t>(file[kSetupSectors]);
  const std::size_t start = (std::size_t{sectors == 0 ? std::uint8_t{4} : sectors} + 1) * 512;
  const std::uint64_t offset = start + number_at<std::uint32_t>(file, kPayloadOffset).value_or(0);
  const std::uint64_t length = number_at<std::uint32_t>(file, kPayloadLength).value_or(0);
  if (length < 4 || offset > file.size() || file.size() - offset < length)
    return fail(Code::DataLoss, "the bzImage ends before its payload does");
  return file.substr(offset, length);
}

Result<std::string> decompress(std::string_view payload) {
  bool given = false;
  // The kernel's build appends the unpacked size where the stream does not tell it (scripts/Makefile.lib).
  constexpr std::string_view kGzip = "\x1f\x8b", kXz =
                                                     "\xfd"
                                                     "7zXZ";
  if (!payload.starts_with(kGzip) && !payload.starts_with(kXz)) payload.remove_suffix(4);
  auto archive = TRY(Archive::open(Archive::Form::Raw, [&]() -> Result<std::string_view> {
    return std::exchange(given, true) ? std::string_view() : payload;
  }));
  Archive::Entry entry;
  if (!TRY(archive.next(entry))) return fail(Code::DataLoss, "the payload is empty");
  return archive.read_all(kMaxImageBytes);
}

}  // namespace

Result<KernelImage> read_kernel_image(std::string file) {
  if (file.starts_with(kElfMagic)) {
    const auto banner = file.find(kBanner);
    const std::string release = banner == std::string::npos ? "" : word_at(file, banner + kBanner.size());
    return KernelImage{std::move(file), release};
  }
  if (!is_bzimage(file))
    return fail(Code::InvalidArgument, "neither a bzImage nor an ELF file: is it a kernel for x86-64?");
  KernelImage image;
  const auto version = number_at<std::uint16_t>(file, kVersionText).value_or(0);
  if (version != 0) image.release = word_at(file, version + std::size_t{512});
  image.vmlinux = TRY_DURING("cannot decompress the bzImage", decompress(TRY(payload_of(file))));
  if (!image.vmlinux.starts_with(kElfMagic))
    return fail(Code::DataLoss, "the bzImage's payload is no ELF file");
  return image;
}

}  // namespace berth::kernel

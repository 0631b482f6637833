#include "device/virtio/block.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace berth::device {
namespace {

constexpr std::uint64_t kSector = 512;
enum RequestType : std::uint32_t { kIn = 0, kOut = 1, kFlush = 4, kGetId = 8 };
enum RequestStatus : std::uint8_t { kOk = 0, kIoError = 1, kUnsupported = 2 };
constexpr std::uint64_t kFeatureSegments = 1 << 2, kFeatureReadOnly = 1 << 5, kFeatureFlush = 1 << 9;
constexpr std::uint32_t kMaxSegments = kMaxQueueSize - 2;  // header and status take one each
constexpr std::size_t kIdBytes = 20;

struct Header {
  std::uint32_t type, reserved;
  std::uint64_t sector;
};

}  // namespace

Result<std::unique_ptr<VirtioBlock>> VirtioBlock::open(const std::string& path, bool read_only,
                                                       std::string id) {
  return create(TRY(sys::open(path, read_only ? O_RDONLY : O_RDWR)), path, read_only, std::move(id));
}

Result<std::unique_ptr<VirtioBlock>> VirtioBlock::create(sys::Fd file, const std::string& name,
                                                         bool read_only, std::string id) {
  const off_t end = ::lseek(file.get(), 0, SEEK_END);
  if (end < 0) return fail_errno(fmt::format("cannot find the size of disk {}", name));
  const std::uint64_t bytes = static_cast<std::uint64_t>(end) / kSector * kSector;
  return std::unique_ptr<VirtioBlock>(new VirtioBlock(std::move(file), bytes, read_only, std::move(id)));
}

VirtioBlock::VirtioBlock(sys::Fd file, std::uint64_t bytes, bool read_only, std::string id)
    : file_(std::move(file)), bytes_(bytes), read_only_(read_only), id_(std::move(id)) {
  id_.resize(kIdBytes);
}

std::uint64_t VirtioBlock::features() const {
  return kFeatureSegments | kFeatureFlush | (read_only_ ? kFeatureReadOnly : 0);
}

// struct virtio_blk_config: capacity, size_max, seg_max.
std::uint64_t VirtioBlock::config_read(unsigned offset, unsigned bytes) {
  std::array<std::byte, 16> config{};
  const std::uint64_t sectors = bytes_ / kSector;
  std::memcpy(config.data(), &sectors, sizeof sectors);
  std::memcpy(config.data() + 12, &kMaxSegments, sizeof kMaxSegments);
  std::uint64_t value = 0;
  if (offset + bytes <= config.size()) std::memcpy(&value, config.data() + offset, bytes);
  return value;
}

std::uint8_t VirtioBlock::transfer(const Chain& chain, std::uint64_t sector, bool write,
                                   std::uint32_t& written) {
  // The data lies between header and status: the readable part after 16 bytes, the writable one but the last.
  const std::size_t skip = write ? sizeof(Header) : 0;
  const auto& buffers = write ? chain.readable : chain.writable;
  const std::size_t length = (write ? chain.readable_bytes() : chain.writable_bytes()) - (write ? skip : 1);
  if (sector > bytes_ / kSector || length > bytes_ - sector * kSector || length % kSector != 0)
    return kIoError;
  if (write && read_only_) return kIoError;
  vectors_.clear();
  std::size_t to_skip = skip, left = length;
  for (const auto& buffer : buffers) {
    const std::size_t skipped = std::min(to_skip, buffer.size());
    to_skip -= skipped;
    const std::size_t part = std::min(buffer.size() - skipped, left);
    if (part > 0) vectors_.push_back({buffer.data() + skipped, part});
    left -= part;
  }
  if (vectors_.empty()) return kOk;
  const auto count = static_cast<int>(vectors_.size());
  const auto at = static_cast<off_t>(sector * kSector);
  const ssize_t done = write ? ::pwritev(file_.get(), vectors_.data(), count, at)
                             : ::preadv(file_.get(), vectors_.data(), count, at);
  if (done != static_cast<ssize_t>(length)) return kIoError;
  if (!write) written = static_cast<std::uint32_t>(length);
  return kOk;
}

std::uint8_t VirtioBlock::give_id(const Chain& chain, std::uint32_t& written) const {
  const std::size_t room = chain.writable_bytes() - 1;
  written =
      static_cast<std::uint32_t>(chain.write(std::as_bytes(std::span(id_.data(), std::min(room, kIdBytes)))));
  return kOk;
}

std::uint32_t VirtioBlock::serve(const Chain& chain) {
  Header header{};
  const std::size_t writable = chain.writable_bytes();
  if (chain.read(std::as_writable_bytes(std::span(&header, 1))) != sizeof header || writable == 0) return 0;
  std::uint32_t written = 0;
  std::uint8_t status = kUnsupported;
  switch (header.type) {
    case kIn:
      status = transfer(chain, header.sector, false, written);
      break;
    case kOut:
      status = transfer(chain, header.sector, true, written);
      break;
    case kFlush:
      status = read_only_ || ::fdatasync(file_.get()) == 0 ? kOk : kIoError;
      break;
    case kGetId:
      status = give_id(chain, written);
      break;
    default:
      break;
  }
  chain.write(std::as_bytes(std::span(&status, 1)), writable - 1);
  return written + 1;
}

void VirtioBlock::notify(unsigned queue) {
  drain(queue, [this](const Chain& chain) { return serve(chain); });
}

}  // namespace berth::device

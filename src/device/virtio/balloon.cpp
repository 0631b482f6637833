#include "device/virtio/balloon.hpp"

#include <algorithm>
#include <cstring>

namespace berth::device {
namespace {

enum QueueIndex : unsigned { kInflate = 0, kDeflate = 1 };
constexpr std::uint64_t kFeatureReporting = 1 << 5;
constexpr unsigned kActualAt = 4;  // struct virtio_balloon_config: num_pages, which stays 0, and actual
// Of one request; Linux sends no more. What is beyond stays the guest's.
constexpr std::size_t kMaxPages = 256;

}  // namespace

std::uint64_t VirtioBalloon::features() const { return kFeatureReporting; }

std::uint64_t VirtioBalloon::config_read(unsigned offset, unsigned bytes) {
  std::uint64_t value = 0;
  if (offset >= kActualAt && offset + bytes <= kActualAt + sizeof actual_)
    std::memcpy(&value, reinterpret_cast<const std::byte*>(&actual_) + (offset - kActualAt), bytes);
  return value;
}

void VirtioBalloon::config_write(unsigned offset, unsigned bytes, std::uint64_t value) {
  if (offset == kActualAt && bytes == sizeof actual_) actual_ = static_cast<std::uint32_t>(value);
}

// Numbers of pages that the guest puts into the balloon.
void VirtioBalloon::inflate(Queue& queue, const Chain& chain) {
  std::array<std::uint32_t, kMaxPages> pages;
  const std::size_t count = chain.read(std::as_writable_bytes(std::span(pages))) / sizeof pages[0];
  for (const std::uint32_t page : std::span(pages).first(count)) {
    const auto bytes = memory_.at(guest::Gpa{page * guest::kPageBytes}, guest::kPageBytes);
    if (bytes.empty()) continue;  // no RAM
    memory_.release(bytes);
    queue.tell_written(bytes);
  }
}

// Buffers that are the free memory itself, to be filled with whatever comes of it: zeros.
void VirtioBalloon::report(const Chain& chain) const {
  for (const auto& buffer : chain.writable) memory_.release(buffer);
}

void VirtioBalloon::notify(unsigned index) {
  drain(index, [&](const Chain& chain) {
    if (index == kInflate) inflate(transport().queue(index), chain);
    if (index > kDeflate) report(chain);
    return 0U;
  });
}

}  // namespace berth::device

#include "guest/memory.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/text.hpp"
#include "sys/fd.hpp"
#include "sys/memory.hpp"

namespace berth::guest {
namespace {

constexpr std::uint64_t kGranule = std::uint64_t{2} << 20;
constexpr std::uint64_t kLargest = std::uint64_t{1} << 40;
constexpr std::uint64_t kHoleStart = std::uint64_t{3} << 30;
constexpr std::uint64_t kHoleEnd = std::uint64_t{4} << 30;

std::vector<Region> lay_out(std::uint64_t bytes) {
  const std::uint64_t low = std::min(bytes, kHoleStart);
  std::vector<Region> regions{{Gpa{0}, low, 0}};
  if (bytes > low) regions.push_back({Gpa{kHoleEnd}, bytes - low, low});
  return regions;
}

Failure outside(std::string_view verb, Gpa address, std::uint64_t bytes) {
  return fail(Code::OutOfRange, fmt::format("cannot {} {} bytes at guest address {:#x}: not all of it is RAM",
                                            verb, bytes, value(address)));
}

}  // namespace

Result<GuestMemory> GuestMemory::create(std::uint64_t bytes) {
  if (bytes == 0 || bytes % kGranule != 0 || bytes > kLargest) {
    return fail(Code::InvalidArgument,
                fmt::format("cannot make {} bytes of guest memory: a multiple of 2 MiB up to 1 TiB is needed",
                            bytes));
  }
  auto attempt = [&] { return fmt::format("cannot make {} of guest memory", format_size(bytes)); };
  auto file = TRY_DURING(attempt(), sys::make_memory_file("berth-guest", bytes));
  auto mapping = TRY_DURING(
      attempt(), sys::Mapping::shared(file.get(), bytes, sys::Mapping::Access::ReadWrite, "guest memory"));
  mapping.prefer_huge_pages();
  return GuestMemory(std::move(file), std::move(mapping), lay_out(bytes));
}

GuestMemory::GuestMemory(sys::Fd file, sys::Mapping mapping, std::vector<Region> regions)
    : file_(std::move(file)), mapping_(std::move(mapping)), regions_(std::move(regions)) {}

std::span<std::byte> GuestMemory::at(Gpa address, std::uint64_t bytes) const {
  for (const Region& region : regions_) {
    const std::uint64_t offset = value(address) - value(region.start);
    if (value(address) >= value(region.start) && offset <= region.bytes && bytes <= region.bytes - offset)
      return {mapping_.data() + region.file_offset + offset, bytes};
  }
  return {};
}

Gpa GuestMemory::address_of(std::span<const std::byte> bytes) const {
  const auto offset = static_cast<std::uint64_t>(bytes.data() - mapping_.data());
  const auto region = std::find_if(regions_.begin(), regions_.end(), [&](const Region& candidate) {
    return offset - candidate.file_offset < candidate.bytes;
  });
  BERTH_ASSERT(region != regions_.end());
  return region->start + (offset - region->file_offset);
}

void GuestMemory::release(std::span<const std::byte> bytes) const {
  const auto first = static_cast<std::uint64_t>(bytes.data() - mapping_.data());
  const std::uint64_t start = (first + kPageBytes - 1) / kPageBytes * kPageBytes;
  const std::uint64_t end = (first + bytes.size()) / kPageBytes * kPageBytes;
  if (start < end) sys::release_shared_pages(mapping_.data() + start, end - start);
}

Result<void> GuestMemory::read(Gpa address, std::span<std::byte> out) const {
  const auto source = at(address, out.size());
  if (source.size() != out.size()) return outside("read", address, out.size());
  if (!out.empty()) std::memcpy(out.data(), source.data(), out.size());
  return {};
}

Result<void> GuestMemory::load(Gpa address, std::span<const std::byte> data) const {
  const auto target = at(address, data.size());
  if (target.size() != data.size()) return outside("write", address, data.size());
  TRY_DURING(
      "cannot load into the guest's memory",
      sys::write_all_at(file_.get(), data, static_cast<std::uint64_t>(target.data() - mapping_.data())));
  return {};
}

Result<void> GuestMemory::write(Gpa address, std::span<const std::byte> data) const {
  const auto target = at(address, data.size());
  if (target.size() != data.size()) return outside("write", address, data.size());
  if (!data.empty()) std::memcpy(target.data(), data.data(), data.size());
  return {};
}

}  // namespace berth::guest

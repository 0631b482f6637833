#include "device/bus.hpp"

#include <algorithm>

#include "base/result.hpp"

namespace berth::device {
namespace {

// Keeps `ranges` sorted by start and free of overlaps; the board is our own, so an overlap is a bug.
template <typename Range, typename Start>
void insert_range(std::vector<Range>& ranges, Range range, Start start) {
  const auto place = std::lower_bound(ranges.begin(), ranges.end(), range,
                                      [&](const Range& a, const Range& b) { return start(a) < start(b); });
  BERTH_ASSERT(place == ranges.end() || range.end <= start(*place));
  BERTH_ASSERT(place == ranges.begin() || std::prev(place)->end <= start(range));
  ranges.insert(place, range);
}

}  // namespace

std::uint32_t BytePortDevice::port_read(std::uint16_t port, unsigned bytes) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < bytes; ++i)
    value |= std::uint32_t{read_byte(static_cast<std::uint16_t>(port + i))} << (8 * i);
  return value;
}

void BytePortDevice::port_write(std::uint16_t port, unsigned bytes, std::uint32_t value) {
  for (unsigned i = 0; i < bytes; ++i)
    write_byte(static_cast<std::uint16_t>(port + i), static_cast<std::uint8_t>(value >> (8 * i)));
}

void PortBus::attach(std::uint16_t first, std::uint16_t count, PortDevice& device) {
  insert_range(ranges_, Range{first, std::uint32_t{first} + count, &device},
               [](const Range& range) { return range.first; });
}

PortDevice* PortBus::find(std::uint16_t port) const {
  auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), port,
                       [](std::uint32_t wanted, const Range& range) { return wanted < range.first; });
  if (after == ranges_.begin()) return nullptr;
  const Range& range = *std::prev(after);
  return port < range.end ? range.device : nullptr;
}

std::uint32_t PortBus::read(std::uint16_t port, unsigned bytes) const {
  PortDevice* device = find(port);
  const std::uint32_t all_ones = static_cast<std::uint32_t>(floating_bus(bytes));
  return device == nullptr ? all_ones : device->port_read(port, bytes) & all_ones;
}

void PortBus::write(std::uint16_t port, unsigned bytes, std::uint32_t value) const {
  if (PortDevice* device = find(port))
    device->port_write(port, bytes, value & static_cast<std::uint32_t>(floating_bus(bytes)));
}

void MmioBus::attach(std::uint64_t start, std::uint64_t bytes, MmioDevice& device) {
  insert_range(ranges_, Range{start, start + bytes, &device}, [](const Range& range) { return range.start; });
}

const MmioBus::Range* MmioBus::find(std::uint64_t address, unsigned bytes) const {
  auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), address,
                       [](std::uint64_t wanted, const Range& range) { return wanted < range.start; });
  if (after == ranges_.begin()) return nullptr;
  const Range& range = *std::prev(after);
  return address < range.end && bytes <= range.end - address ? &range : nullptr;
}

std::uint64_t MmioBus::read(std::uint64_t address, unsigned bytes) const {
  const Range* range = find(address, bytes);
  if (range == nullptr) return floating_bus(bytes);
  return range->device->mmio_read(address - range->start, bytes) & floating_bus(bytes);
}

void MmioBus::write(std::uint64_t address, unsigned bytes, std::uint64_t value) const {
  if (const Range* range = find(address, bytes))
    range->device->mmio_write(address - range->start, bytes, value & floating_bus(bytes));
}

}  // namespace berth::device

#include "device/pci/function.hpp"

#include "base/result.hpp"
#include "device/bus.hpp"

namespace berth::device {
namespace {

constexpr unsigned kCommand = 0x04, kStatus = 0x06, kBar0 = 0x10, kInterruptLine = 0x3c;
constexpr std::uint16_t kMemory = 1 << 1, kBusMaster = 1 << 2, kNoIntx = 1 << 10;
constexpr std::uint16_t kHasCapabilities = 1 << 4;
constexpr std::uint32_t kMemory64 = 0x4;

}  // namespace

PciFunction::PciFunction(const PciIds& ids) {
  set_config(0x00, ids.vendor, 2);
  set_config(0x02, ids.device, 2);
  set_config(0x08, ids.class_code << 8 | ids.revision, 4);
  set_config(0x2c, ids.subsystem_vendor, 2);
  set_config(0x2e, ids.subsystem, 2);
  constexpr std::uint16_t kCommandMask = kMemory | kBusMaster | kNoIntx;
  make_writable(kCommand, std::array<std::uint8_t, 2>{kCommandMask & 0xff, kCommandMask >> 8});
  make_writable(kInterruptLine, std::array<std::uint8_t, 1>{0xff});
}

void PciFunction::set_config(unsigned offset, std::uint32_t value, unsigned bytes) {
  BERTH_ASSERT(offset + bytes <= kConfigBytes);
  for (unsigned i = 0; i < bytes; ++i) config_[offset + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

std::uint32_t PciFunction::config(unsigned offset, unsigned bytes) const {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < bytes; ++i) value |= std::uint32_t{config_[offset + i]} << (8 * i);
  return value;
}

void PciFunction::make_writable(unsigned offset, std::span<const std::uint8_t> mask) {
  BERTH_ASSERT(offset + mask.size() <= kConfigBytes);
  for (std::size_t i = 0; i < mask.size(); ++i) writable_[offset + i] = mask[i];
}

void PciFunction::add_bar(unsigned index, std::uint64_t bytes) {
  BERTH_ASSERT(index < 5 && bytes >= 4096 && (bytes & (bytes - 1)) == 0);
  bars_[index].bytes = bytes;
  set_config(kBar0 + 4 * index, kMemory64, 4);
  const std::uint64_t mask = ~(bytes - 1);
  std::array<std::uint8_t, 8> writable{};
  for (unsigned i = 0; i < 8; ++i) writable[i] = static_cast<std::uint8_t>(mask >> (8 * i));
  make_writable(kBar0 + 4 * index, writable);
}

unsigned PciFunction::add_capability(std::uint8_t id, std::span<const std::uint8_t> body) {
  const unsigned at = capabilities_end_;
  capabilities_end_ = (at + 2 + static_cast<unsigned>(body.size()) + 3) & ~3U;
  BERTH_ASSERT(capabilities_end_ <= 0x100);
  set_config(kStatus, kHasCapabilities, 2);
  config_[last_capability_] = static_cast<std::uint8_t>(at);
  last_capability_ = at + 1;
  config_[at] = id;
  for (std::size_t i = 0; i < body.size(); ++i) config_[at + 2 + i] = body[i];
  return at;
}

void PciFunction::place_bars(std::uint64_t& next) {
  const std::lock_guard lock(mutex_);
  for (unsigned i = 0; i < bars_.size(); ++i) {
    if (bars_[i].bytes == 0) continue;
    next = (next + bars_[i].bytes - 1) & ~(bars_[i].bytes - 1);
    set_config(kBar0 + 4 * i, static_cast<std::uint32_t>(next) | kMemory64, 4);
    set_config(kBar0 + 4 * i + 4, static_cast<std::uint32_t>(next >> 32), 4);
    next += bars_[i].bytes;
  }
  update_decoding();
}

void PciFunction::update_decoding() {
  command_ = static_cast<std::uint16_t>(config(kCommand, 2));
  for (unsigned i = 0; i < bars_.size(); ++i) {
    if (bars_[i].bytes == 0) continue;
    const std::uint64_t high = config(kBar0 + 4 * i + 4, 4);
    bars_[i].address = (high << 32 | config(kBar0 + 4 * i, 4)) & ~(bars_[i].bytes - 1);
  }
}

bool PciFunction::bus_master() const { return (command_ & kBusMaster) != 0; }

std::uint32_t PciFunction::config_read(unsigned offset, unsigned bytes) {
  BERTH_ASSERT(offset + bytes <= kConfigBytes);
  const std::lock_guard lock(mutex_);
  config_reading(offset, bytes);
  return config(offset, bytes);
}

void PciFunction::config_write(unsigned offset, unsigned bytes, std::uint32_t value) {
  BERTH_ASSERT(offset + bytes <= kConfigBytes);
  const std::lock_guard lock(mutex_);
  for (unsigned i = 0; i < bytes; ++i) {
    const unsigned mask = writable_[offset + i];
    config_[offset + i] =
        static_cast<std::uint8_t>((config_[offset + i] & ~mask) | (value >> (8 * i) & mask));
  }
  if (offset < 0x40) update_decoding();
  config_written(offset, bytes);
}

bool PciFunction::decode(std::uint64_t address, unsigned bytes, Decoded& decoded) const {
  if ((command_.load(std::memory_order_relaxed) & kMemory) == 0) return false;
  for (unsigned i = 0; i < bars_.size(); ++i) {
    const std::uint64_t offset = address - bars_[i].address.load(std::memory_order_relaxed);
    if (bars_[i].bytes < bytes || offset > bars_[i].bytes - bytes) continue;
    decoded = {i, offset};
    return true;
  }
  return false;
}

std::uint64_t PciFunction::bar_read(unsigned, std::uint64_t, unsigned bytes) { return floating_bus(bytes); }
void PciFunction::bar_write(unsigned, std::uint64_t, unsigned, std::uint64_t) {}

}  // namespace berth::device

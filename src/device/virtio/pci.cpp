#include "device/virtio/pci.hpp"

#include <array>
#include <bit>

#include "base/result.hpp"
#include "device/bus.hpp"

namespace berth::device {
namespace {

// The registers' window, a page each: common, interrupt status, the device's own, notifications.
constexpr unsigned kRegisterBar = 0, kMsixBar = 2;
constexpr std::uint64_t kCommonAt = 0x0000, kIsrAt = 0x1000, kDeviceAt = 0x2000, kNotifyAt = 0x3000;
constexpr std::uint64_t kWindowBytes = 0x4000, kPartBytes = 0x1000;
constexpr std::uint32_t kNotifyMultiplier = 4;

enum CapabilityType : std::uint8_t { kCommonCfg = 1, kNotifyCfg = 2, kIsrCfg = 3, kDeviceCfg = 4 };
constexpr std::uint8_t kVendorCapability = 0x09, kMsixCapability = 0x11;
constexpr std::uint16_t kMsixEnable = 1 << 15, kMsixMaskAll = 1 << 14;

// Offsets of struct virtio_pci_common_cfg (4.1.4.3).
enum Common : unsigned {
  DeviceFeatureSelect = 0x00,
  DeviceFeature = 0x04,
  DriverFeatureSelect = 0x08,
  DriverFeature = 0x0c,
  ConfigVector = 0x10,
  NumQueues = 0x12,
  Status = 0x14,
  ConfigGeneration = 0x15,
  QueueSelect = 0x16,
  QueueSize = 0x18,
  QueueVector = 0x1a,
  QueueEnable = 0x1c,
  QueueNotifyOff = 0x1e,
  QueueDesc = 0x20,
  QueueDriver = 0x28,
  QueueDevice = 0x30,
};
constexpr std::uint8_t kDriverOk = 4, kFeaturesOk = 8, kNeedsReset = 64;
constexpr std::uint64_t kIndirect = std::uint64_t{1} << 28, kVersion1 = std::uint64_t{1} << 32;
constexpr std::uint16_t kNoVector = 0xffff;

PciIds ids_of(const VirtioDevice& device) {
  return {.vendor = 0x1af4,
          .device = static_cast<std::uint16_t>(0x1040 + device.type()),
          .revision = 1,
          .class_code = device.class_code(),
          .subsystem_vendor = 0x1af4,
          .subsystem = static_cast<std::uint16_t>(0x40 + device.type())};
}

std::uint64_t replace_half(std::uint64_t old, bool high, std::uint64_t value) {
  return high ? (old & 0xffffffff) | value << 32 : (old & ~std::uint64_t{0xffffffff}) | (value & 0xffffffff);
}

}  // namespace

VirtioPci::VirtioPci(std::unique_ptr<VirtioDevice> device, const guest::GuestMemory& memory,
                     MessageSink& messages, guest::WriteListener written)
    : PciFunction(ids_of(*device)),
      device_(std::move(device)),
      msix_(messages, device_->queues() + 1),
      written_(std::move(written)) {
  for (unsigned i = 0; i < device_->queues(); ++i) queues_.emplace_back(memory, &written_);
  add_bar(kRegisterBar, kWindowBytes);
  add_bar(kMsixBar, kMsixWindowBytes);
  add_capabilities();
  device_->attach(*this);
}

void VirtioPci::add_capabilities() {
  const auto add = [&](std::uint8_t type, std::uint64_t at, bool notify = false) {
    std::vector<std::uint8_t> body{static_cast<std::uint8_t>(notify ? 20 : 16), type, kRegisterBar, 0, 0, 0};
    for (const std::uint64_t field : {at, kPartBytes})
      for (unsigned i = 0; i < 4; ++i) body.push_back(static_cast<std::uint8_t>(field >> (8 * i)));
    if (notify) body.insert(body.end(), {kNotifyMultiplier, 0, 0, 0});
    add_capability(kVendorCapability, body);
  };
  add(kCommonCfg, kCommonAt);
  add(kIsrCfg, kIsrAt);
  add(kDeviceCfg, kDeviceAt);
  add(kNotifyCfg, kNotifyAt, true);
  const auto last = static_cast<std::uint8_t>(msix_.vectors() - 1);
  const std::array<std::uint8_t, 10> msix{
      last, 0, kMsixBar, 0, 0, 0, kMsixBar | (kMsixPendingAt & 0xff), kMsixPendingAt >> 8, 0, 0};
  msix_capability_ = add_capability(kMsixCapability, msix);
  make_writable(msix_capability_ + 3, std::array<std::uint8_t, 1>{(kMsixEnable | kMsixMaskAll) >> 8});
}

void VirtioPci::config_written(unsigned offset, unsigned bytes) {
  const unsigned control = msix_capability_ + 2;
  if (offset + bytes <= control || offset >= control + 2) return;
  const std::uint32_t value = config(control, 2);
  msix_.set_control((value & kMsixEnable) != 0, (value & kMsixMaskAll) != 0);
}

std::uint64_t VirtioPci::offered() const { return device_->features() | kVersion1 | kIndirect; }

bool VirtioPci::running() const { return (common_.status & (kDriverOk | kNeedsReset)) == kDriverOk; }

void VirtioPci::interrupt(unsigned queue) {
  if (!queues_[queue].wants_interrupt()) return;
  isr_ |= 1;
  msix_.signal(queues_[queue].state().vector);
}

void VirtioPci::config_changed() {
  ++common_.config_generation;
  isr_ |= 2;
  msix_.signal(common_.config_vector);
}

void VirtioPci::broken() {
  common_.status |= kNeedsReset;
  config_changed();
}

void VirtioPci::reset_all() {
  for (Queue& queue : queues_) queue.reset();
  common_ = {};
  isr_ = 0;
  device_->reset();
}

void VirtioPci::set_status(std::uint8_t status) {
  if (status == 0) return reset_all();
  const std::uint8_t before = common_.status;
  common_.status = status | (before & kNeedsReset);
  // What was not offered, or a driver from before 1.0, is not accepted: FEATURES_OK stays clear.
  const bool acceptable =
      (common_.driver_features & ~offered()) == 0 && (common_.driver_features & kVersion1) != 0;
  if (!acceptable) common_.status &= static_cast<std::uint8_t>(~(kFeaturesOk | kDriverOk));
  if ((common_.status & ~before & kDriverOk) != 0) device_->activate(common_.driver_features);
}

std::uint16_t VirtioPci::checked_vector(std::uint64_t value) const {
  return value < msix_.vectors() ? static_cast<std::uint16_t>(value) : kNoVector;
}

std::uint64_t VirtioPci::queue_read(unsigned offset) const {
  if (common_.queue_select >= queues_.size()) return 0;
  const QueueState& state = queues_[common_.queue_select].state();
  switch (offset) {
    case QueueSize:
      return state.size;
    case QueueVector:
      return state.vector;
    case QueueEnable:
      return state.ready ? 1 : 0;
    case QueueNotifyOff:
      return common_.queue_select;
    case QueueDesc:
      return state.descriptors;
    case QueueDesc + 4:
      return state.descriptors >> 32;
    case QueueDriver:
      return state.available;
    case QueueDriver + 4:
      return state.available >> 32;
    case QueueDevice:
      return state.used;
    case QueueDevice + 4:
      return state.used >> 32;
    default:
      return 0;
  }
}

std::uint64_t VirtioPci::common_read(unsigned offset) const {
  switch (offset) {
    case DeviceFeatureSelect:
      return common_.device_feature_select;
    case DeviceFeature:
      return common_.device_feature_select < 2 ? offered() >> (32 * common_.device_feature_select) : 0;
    case DriverFeatureSelect:
      return common_.driver_feature_select;
    case DriverFeature:
      return common_.driver_feature_select < 2
                 ? common_.driver_features >> (32 * common_.driver_feature_select)
                 : 0;
    case ConfigVector:
      return common_.config_vector;
    case NumQueues:
      return queues_.size();
    case Status:
      return common_.status;
    case ConfigGeneration:
      return common_.config_generation;
    case QueueSelect:
      return common_.queue_select;
    default:
      return queue_read(offset);
  }
}

void VirtioPci::queue_write(unsigned offset, unsigned bytes, std::uint64_t value) {
  if (common_.queue_select >= queues_.size()) return;
  QueueState& state = queues_[common_.queue_select].state();
  if (offset == QueueVector) {
    state.vector = checked_vector(value);
    return;
  }
  if (state.ready) return;  // the addresses of a live queue do not change
  const bool both = bytes == 8;
  switch (offset) {
    case QueueSize:
      if (value <= kMaxQueueSize && std::has_single_bit(value))
        state.size = static_cast<std::uint16_t>(value);
      break;
    case QueueEnable:
      state.ready = value == 1;
      break;
    case QueueDesc:
    case QueueDesc + 4:
      state.descriptors = both ? value : replace_half(state.descriptors, offset != QueueDesc, value);
      break;
    case QueueDriver:
    case QueueDriver + 4:
      state.available = both ? value : replace_half(state.available, offset != QueueDriver, value);
      break;
    case QueueDevice:
    case QueueDevice + 4:
      state.used = both ? value : replace_half(state.used, offset != QueueDevice, value);
      break;
    default:
      break;
  }
}

void VirtioPci::common_write(unsigned offset, unsigned bytes, std::uint64_t value) {
  const auto word = static_cast<std::uint32_t>(value);
  switch (offset) {
    case DeviceFeatureSelect:
      common_.device_feature_select = word;
      break;
    case DriverFeatureSelect:
      common_.driver_feature_select = word;
      break;
    case DriverFeature:
      if ((common_.status & kFeaturesOk) == 0 && common_.driver_feature_select < 2)
        common_.driver_features =
            replace_half(common_.driver_features, common_.driver_feature_select == 1, word);
      break;
    case ConfigVector:
      common_.config_vector = checked_vector(value);
      break;
    case Status:
      set_status(static_cast<std::uint8_t>(value));
      break;
    case QueueSelect:
      common_.queue_select = static_cast<std::uint16_t>(value);
      break;
    default:
      queue_write(offset, bytes, value);
      break;
  }
}

std::uint64_t VirtioPci::bar_read(unsigned bar, std::uint64_t offset, unsigned bytes) {
  if (bar == kMsixBar) return msix_.read(offset, bytes);
  const std::lock_guard lock(mutex_);
  const auto within = static_cast<unsigned>(offset % kPartBytes);
  switch (offset - within) {
    case kCommonAt: {
      const std::uint64_t low = common_read(within);
      return bytes == 8 ? (low & 0xffffffff) | common_read(within + 4) << 32 : low;
    }
    case kIsrAt: {
      const std::uint8_t value = isr_;
      isr_ = 0;
      return value;
    }
    case kDeviceAt:
      return within + bytes <= kPartBytes ? device_->config_read(within, bytes) : 0;
    default:
      return 0;
  }
}

void VirtioPci::bar_write(unsigned bar, std::uint64_t offset, unsigned bytes, std::uint64_t value) {
  if (bar == kMsixBar) return msix_.write(offset, bytes, value);
  const std::lock_guard lock(mutex_);
  const auto within = static_cast<unsigned>(offset % kPartBytes);
  switch (offset - within) {
    case kCommonAt:
      common_write(within, bytes, value);
      break;
    case kDeviceAt:
      if (within + bytes <= kPartBytes) device_->config_write(within, bytes, value);
      break;
    case kNotifyAt:
      if (within / kNotifyMultiplier < queues_.size() && running())
        device_->notify(within / kNotifyMultiplier);
      break;
    default:
      break;
  }
}

}  // namespace berth::device

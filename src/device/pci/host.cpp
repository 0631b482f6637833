#include "device/pci/host.hpp"

namespace berth::device {
namespace {

constexpr std::uint16_t kAddressPort = 0xcf8, kDataPort = 0xcfc;
constexpr std::uint32_t kEnable = 1U << 31;
constexpr std::uint8_t kResetCpu = 0x04;
// Intel's 82G33 host bridge: a plain PCI Express host that needs no driver.
constexpr PciIds kBridge{.vendor = 0x8086, .device = 0x29c0, .class_code = 0x060000};

}  // namespace

PciHost::PciHost(EndSink& end) : end_(end), bridge_(kBridge) { devices_[0] = &bridge_; }

void PciHost::attach(PortBus& ports, MmioBus& memory) {
  ports.attach(kAddressPort, 8, *this);
  memory.attach(kEcamBase, kEcamBytes, ecam_);
  memory.attach(kPciWindowStart, kPciWindowEnd - kPciWindowStart, window_);
}

bool PciHost::add(PciFunction& function) {
  if (count_ == devices_.size()) return false;
  std::uint64_t next = next_window_;
  function.place_bars(next);
  if (next > kPciWindowEnd) return false;
  next_window_ = next;
  devices_[count_++] = &function;
  return true;
}

PciFunction* PciHost::at(unsigned device_function) const {
  return (device_function & 7) == 0 ? devices_[device_function >> 3 & 31] : nullptr;
}

std::uint32_t PciHost::config_read(unsigned device_function, unsigned offset, unsigned bytes) const {
  PciFunction* function = at(device_function);
  if (function == nullptr || offset + bytes > kConfigBytes)
    return static_cast<std::uint32_t>(floating_bus(bytes));
  return function->config_read(offset, bytes);
}

void PciHost::config_write(unsigned device_function, unsigned offset, unsigned bytes,
                           std::uint32_t value) const {
  PciFunction* function = at(device_function);
  if (function != nullptr && offset + bytes <= kConfigBytes) function->config_write(offset, bytes, value);
}

std::uint32_t PciHost::port_read(std::uint16_t port, unsigned bytes) {
  if (port < kDataPort) return port == kAddressPort && bytes == 4 ? address_.load() : 0;
  const std::uint32_t address = address_;
  const unsigned offset = (address & 0xfc) + (port - kDataPort);
  if ((address & kEnable) == 0 || (address >> 16 & 0xff) != 0 || offset + bytes > 256)
    return static_cast<std::uint32_t>(floating_bus(bytes));
  return config_read(address >> 8 & 0xff, offset, bytes);
}

void PciHost::port_write(std::uint16_t port, unsigned bytes, std::uint32_t value) {
  if (port == kAddressPort && bytes == 4) {
    address_ = value & 0x80fffffc;
  } else if (port == kResetPort && bytes == 1) {
    if ((value & kResetCpu) != 0) end_.end({EndKind::Reset});
  } else if (port >= kDataPort) {
    const std::uint32_t address = address_;
    const unsigned offset = (address & 0xfc) + (port - kDataPort);
    if ((address & kEnable) != 0 && (address >> 16 & 0xff) == 0 && offset + bytes <= 256)
      config_write(address >> 8 & 0xff, offset, bytes, value);
  }
}

std::uint64_t PciHost::Ecam::mmio_read(std::uint64_t offset, unsigned bytes) {
  if (bytes > 4) return floating_bus(bytes);
  return host.config_read(static_cast<unsigned>(offset >> 12), static_cast<unsigned>(offset & 0xfff), bytes);
}

void PciHost::Ecam::mmio_write(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
  if (bytes > 4) return;
  host.config_write(static_cast<unsigned>(offset >> 12), static_cast<unsigned>(offset & 0xfff), bytes,
                    static_cast<std::uint32_t>(value));
}

PciFunction* PciHost::decode(std::uint64_t address, unsigned bytes, PciFunction::Decoded& decoded) const {
  for (unsigned i = 0; i < count_; ++i)
    if (devices_[i]->decode(address, bytes, decoded)) return devices_[i];
  return nullptr;
}

std::uint64_t PciHost::Window::mmio_read(std::uint64_t offset, unsigned bytes) {
  PciFunction::Decoded where{};
  PciFunction* function = host.decode(kPciWindowStart + offset, bytes, where);
  return function == nullptr ? floating_bus(bytes) : function->bar_read(where.bar, where.offset, bytes);
}

void PciHost::Window::mmio_write(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
  PciFunction::Decoded where{};
  if (PciFunction* function = host.decode(kPciWindowStart + offset, bytes, where))
    function->bar_write(where.bar, where.offset, bytes, value);
}

}  // namespace berth::device

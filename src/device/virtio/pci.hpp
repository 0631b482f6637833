// virtio over PCI, modern interface only (Virtual I/O Device 1.2, 4.1), with MSI-X and no pin.
#pragma once

#include <memory>
#include <vector>

#include "device/pci/function.hpp"
#include "device/pci/msix.hpp"
#include "device/virtio/device.hpp"

namespace berth::device {

class VirtioPci final : public PciFunction, private VirtioTransport {
 public:
  VirtioPci(std::unique_ptr<VirtioDevice> device, const guest::GuestMemory& memory, MessageSink& messages,
            guest::WriteListener written = {});

  ~VirtioPci() override { device_.reset(); }  // before the lock that its threads take

  std::uint64_t bar_read(unsigned bar, std::uint64_t offset, unsigned bytes) override;
  void bar_write(unsigned bar, std::uint64_t offset, unsigned bytes, std::uint64_t value) override;

 private:
  struct Common {
    std::uint32_t device_feature_select = 0, driver_feature_select = 0;
    std::uint64_t driver_features = 0;
    std::uint16_t config_vector = 0xffff;
    std::uint8_t status = 0, config_generation = 0;
    std::uint16_t queue_select = 0;
  };
  void config_written(unsigned offset, unsigned bytes) override;
  // VirtioTransport
  std::mutex& mutex() override { return mutex_; }
  Queue& queue(unsigned index) override { return queues_[index]; }
  void interrupt(unsigned queue) override;
  void config_changed() override;
  void broken() override;
  bool running() const override;

  void add_capabilities();
  std::uint64_t offered() const;
  std::uint64_t common_read(unsigned offset) const;
  std::uint64_t queue_read(unsigned offset) const;
  void common_write(unsigned offset, unsigned bytes, std::uint64_t value);
  void queue_write(unsigned offset, unsigned bytes, std::uint64_t value);
  void set_status(std::uint8_t status);
  void reset_all();
  std::uint16_t checked_vector(std::uint64_t value) const;

  std::unique_ptr<VirtioDevice> device_;
  std::mutex mutex_;
  Msix msix_;
  unsigned msix_capability_ = 0;
  Common common_;
  std::uint8_t isr_ = 0;
  const guest::WriteListener written_;
  std::vector<Queue> queues_;
};

}  // namespace berth::device

// The memory balloon (Virtual I/O Device 1.2, 5.5): what the guest does not use goes back to the host. The
// guest reports free memory by itself (5.5.6.7); it is never asked to give any up.
#pragma once

#include "device/virtio/device.hpp"

namespace berth::device {

class VirtioBalloon final : public VirtioDevice {
 public:
  // `memory` is the machine's, and outlives the device.
  explicit VirtioBalloon(const guest::GuestMemory& memory) : memory_(memory) {}

  std::uint16_t type() const override { return 5; }
  std::uint32_t class_code() const override { return 0xff0000; }
  std::uint64_t features() const override;
  // Free memory is reported by queue 4 as the specification numbers them, and by queue 2 as Linux does, which
  // counts those that exist. Without other features both can mean nothing else.
  unsigned queues() const override { return 5; }
  std::uint64_t config_read(unsigned offset, unsigned bytes) override;
  void config_write(unsigned offset, unsigned bytes, std::uint64_t value) override;
  void notify(unsigned queue) override;
  void reset() override { actual_ = 0; }

 private:
  void inflate(Queue& queue, const Chain& chain);
  void report(const Chain& chain) const;

  const guest::GuestMemory& memory_;
  std::uint32_t actual_ = 0;  // pages that the guest says are in the balloon
};

}  // namespace berth::device

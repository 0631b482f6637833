// Entropy (Virtual I/O Device 1.2, 5.4): fills buffers with the host's random bytes.
#pragma once

#include "device/virtio/device.hpp"

namespace berth::device {

class VirtioRng final : public VirtioDevice {
 public:
  std::uint16_t type() const override { return 4; }
  std::uint32_t class_code() const override { return 0xff0000; }
  unsigned queues() const override { return 1; }
  void notify(unsigned queue) override;
};

}  // namespace berth::device

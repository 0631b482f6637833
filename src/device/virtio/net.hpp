// A network interface (Virtual I/O Device 1.2, 5.1) with one pair of queues and no offloads.
#pragma once

#include <poll.h>

#include <array>
#include <memory>
#include <thread>

#include "device/virtio/device.hpp"
#include "device/virtio/frame_port.hpp"

namespace berth::device {

using MacAddress = std::array<std::uint8_t, 6>;

// Frames leave on the processor's thread and come on the device's own. A frame that the host cannot take yet
// stays in the guest's queue; one that the guest has no buffer for stays with the host.
class VirtioNet final : public VirtioDevice {
 public:
  static Result<std::unique_ptr<VirtioNet>> create(std::unique_ptr<FramePort> port, const MacAddress& mac);
  ~VirtioNet() override;

  std::uint16_t type() const override { return 1; }
  std::uint32_t class_code() const override { return 0x020000; }
  std::uint64_t features() const override;
  unsigned queues() const override { return 2; }
  std::uint64_t config_read(unsigned offset, unsigned bytes) override;
  void activate(std::uint64_t features) override;
  void notify(unsigned queue) override;
  void reset() override;

 private:
  static constexpr std::size_t kHeaderBytes = 12;  // struct virtio_net_hdr (5.1.6), as version 1 has it
  VirtioNet(std::unique_ptr<FramePort> port, const MacAddress& mac, sys::Pipe wake);

  // With the transport's lock held.
  void transmit();
  void receive();
  bool deliver();  // the frame that is held; false where the guest has no buffer
  void see_port();
  void serve(std::span<pollfd, 2> fds);

  void run();
  void wake();

  std::unique_ptr<FramePort> port_;
  const MacAddress mac_;
  bool link_up_ = true;
  bool blocked_ = false;         // the host took no more frames when last asked
  bool guest_has_room_ = false;  // the receive queue held a buffer when last looked at
  bool stopping_ = false;
  std::array<std::byte, kHeaderBytes + kMaxFrameBytes> held_{};  // a frame on its way to the guest
  std::size_t held_bytes_ = 0;
  std::array<std::byte, kMaxFrameBytes> outgoing_;
  sys::Pipe wake_;
  std::thread thread_;
};

}  // namespace berth::device

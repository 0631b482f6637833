// What each kind of virtio device is, apart from how it is reached.
#pragma once

#include <cstdint>
#include <mutex>

#include "device/virtio/queue.hpp"

namespace berth::device {

// The device's side of its transport. All calls with the lock held.
class VirtioTransport {
 public:
  virtual ~VirtioTransport() = default;
  virtual std::mutex& mutex() = 0;
  virtual Queue& queue(unsigned index) = 0;
  virtual void interrupt(unsigned queue) = 0;  // where the driver wants it
  virtual void config_changed() = 0;
  virtual void broken() = 0;         // the driver broke the rules: needs a reset
  virtual bool running() const = 0;  // DRIVER_OK, and not broken
};

// Calls come with the transport's lock held; a device's own threads take it themselves.
class VirtioDevice {
 public:
  virtual ~VirtioDevice() = default;
  virtual std::uint16_t type() const = 0;               // Virtual I/O Device 1.2, 5
  virtual std::uint32_t class_code() const = 0;         // PCI's
  virtual std::uint64_t features() const { return 0; }  // beyond VERSION_1
  virtual unsigned queues() const = 0;
  // The device's own configuration: `offset` + `bytes` is at most 4096; what does not exist reads as 0.
  virtual std::uint64_t config_read(unsigned /*offset*/, unsigned /*bytes*/) { return 0; }
  virtual void config_write(unsigned /*offset*/, unsigned /*bytes*/, std::uint64_t /*value*/) {}
  virtual void attach(VirtioTransport& transport) { transport_ = &transport; }
  virtual void activate(std::uint64_t /*features*/) {}  // the driver is ready
  virtual void notify(unsigned queue) = 0;              // there may be requests
  virtual void reset() {}

 protected:
  VirtioTransport& transport() { return *transport_; }
  // Serves each waiting request with `serve(chain)`, which gives the bytes it wrote; then interrupts once.
  template <typename Serve>
  void drain(unsigned index, Serve serve) {
    Queue& queue = transport_->queue(index);
    bool any = false;
    while (transport_->running()) {
      const Queue::Pop popped = queue.pop(chain_);
      if (popped == Queue::Pop::Empty) break;
      if (popped == Queue::Pop::Broken) return transport_->broken();
      const std::uint32_t written = serve(chain_);
      if (!queue.push(chain_, written)) return transport_->broken();
      any = true;
    }
    if (any) transport_->interrupt(index);
  }
  Chain chain_;

 private:
  VirtioTransport* transport_ = nullptr;
};

}  // namespace berth::device

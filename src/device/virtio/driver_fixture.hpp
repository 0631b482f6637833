// For tests: a driver's side of one virtqueue, in guest memory.
#pragma once

#include <cstring>
#include <vector>

#include "device/virtio/queue.hpp"

namespace berth::device {

class DriverRing {
 public:
  static constexpr std::uint64_t kDescriptors = 0x1000, kAvailable = 0x2000, kUsed = 0x3000,
                                 kBuffers = 0x10000;
  struct Buffer {
    std::uint64_t address;
    std::uint32_t bytes;
    bool writable;
  };

  DriverRing(const guest::GuestMemory& memory, std::uint16_t size) : memory_(memory), size_(size) {}
  QueueState state() const {
    return {
        .size = size_, .ready = true, .descriptors = kDescriptors, .available = kAvailable, .used = kUsed};
  }
  template <typename T>
  void put(std::uint64_t address, const T& value) const {
    std::memcpy(memory_.at(guest::Gpa{address}, sizeof value).data(), &value, sizeof value);
  }
  template <typename T>
  T get(std::uint64_t address) const {
    T value;
    std::memcpy(&value, memory_.at(guest::Gpa{address}, sizeof value).data(), sizeof value);
    return value;
  }
  void describe(std::uint64_t table, std::uint16_t index, std::uint64_t address, std::uint32_t bytes,
                std::uint16_t flags, std::uint16_t next) const {
    const std::uint64_t at = table + 16U * index;
    put(at, address);
    put(at + 8, bytes);
    put(at + 12, flags);
    put(at + 14, next);
  }
  // A chain of descriptors from `first` on, made available.
  void offer(const std::vector<Buffer>& buffers, std::uint16_t first = 0) {
    for (std::size_t i = 0; i < buffers.size(); ++i) {
      const auto index = static_cast<std::uint16_t>(first + i);
      const bool last = i + 1 == buffers.size();
      const int flags = (last ? 0 : 1) | (buffers[i].writable ? 2 : 0);
      describe(kDescriptors, index, buffers[i].address, buffers[i].bytes, static_cast<std::uint16_t>(flags),
               static_cast<std::uint16_t>(index + 1));
    }
    offer_head(first);
  }
  void offer_head(std::uint16_t head) {
    put(kAvailable + 4 + 2U * (offered_ % size_), head);
    put(kAvailable + 2, ++offered_);
  }
  std::uint16_t used() const { return get<std::uint16_t>(kUsed + 2); }
  std::uint32_t used_head(unsigned i) const { return get<std::uint32_t>(kUsed + 4 + 8U * i); }
  std::uint32_t used_bytes(unsigned i) const { return get<std::uint32_t>(kUsed + 8 + 8U * i); }

 private:
  const guest::GuestMemory& memory_;
  std::uint16_t size_, offered_ = 0;
};

}  // namespace berth::device

// Where a network device's Ethernet frames go to and come from: a descriptor that was opened outside of the
// jail.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::device {

// The longest frame that is carried: 1500 bytes, addresses, type and one VLAN tag; and the shortest.
inline constexpr std::size_t kMaxFrameBytes = 1518, kMinFrameBytes = 14;

// Belongs to one device, which locks. Nothing here blocks.
class FramePort {
 public:
  virtual ~FramePort() = default;
  int fd() const { return fd_.get(); }  // for poll(2)
  bool open() const { return static_cast<bool>(fd_); }
  void close() { fd_.reset(); }

  // False where the host has no room: the same frame again once fd() can be written to. A port that is closed
  // takes all frames, and drops them.
  virtual bool send(std::span<const std::byte> frame) = 0;
  // Sends what is left of an earlier frame; true where nothing is left.
  virtual bool flush() { return true; }
  // The next frame's bytes; 0 where there is none yet, or none any more. What is longer than `frame` is
  // dropped.
  virtual std::size_t receive(std::span<std::byte> frame) = 0;

 protected:
  explicit FramePort(sys::Fd fd) : fd_(std::move(fd)) {}
  // Whether errno asks to come back later; otherwise the port is closed.
  bool later();

 private:
  sys::Fd fd_;
};

// A tap device (IFF_TAP, IFF_NO_PI): each read and each write is one frame.
class TapPort final : public FramePort {
 public:
  static Result<std::unique_ptr<FramePort>> create(sys::Fd tap);
  bool send(std::span<const std::byte> frame) override;
  std::size_t receive(std::span<std::byte> frame) override;

 private:
  using FramePort::FramePort;
};

// A stream socket on which each frame follows its length, 4 bytes in network order: what QEMU's "stream" and
// passt speak.
class StreamPort final : public FramePort {
 public:
  static Result<std::unique_ptr<FramePort>> create(sys::Fd socket);
  bool send(std::span<const std::byte> frame) override;
  bool flush() override;
  std::size_t receive(std::span<std::byte> frame) override;

 private:
  static constexpr std::size_t kLengthBytes = 4;
  static constexpr std::size_t kMaxIncoming = 65535;  // bytes of a frame; a longer one is no frame
  explicit StreamPort(sys::Fd socket);
  std::span<const std::byte> next() const;  // a whole frame that has come, with its length before it
  bool fill();

  std::vector<std::byte> incoming_;  // [begin_, end_) is what has come
  std::size_t begin_ = 0, end_ = 0;
  std::vector<std::byte> outgoing_;  // what is left of the last frame
};

}  // namespace berth::device

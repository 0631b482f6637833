// MSI-X (PCI Local Bus 3.0, 6.8.2): a table of messages in a function's own memory window.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "device/irq/line.hpp"

namespace berth::device {

inline constexpr unsigned kMaxMsixVectors = 64;
inline constexpr std::uint64_t kMsixTableBytes = kMaxMsixVectors * 16;
inline constexpr std::uint64_t kMsixPendingAt = 0x800;  // behind the table in one window of 4 KiB
inline constexpr std::uint64_t kMsixWindowBytes = 0x1000;

struct MsixState {
  std::array<std::array<std::uint32_t, 4>, kMaxMsixVectors> table{};  // address, its high half, data, control
  std::uint64_t pending = 0;
  bool enabled = false, masked = false;  // of the whole function
};

// Any thread.
class Msix {
 public:
  Msix(MessageSink& sink, unsigned vectors);
  unsigned vectors() const { return vectors_; }
  std::uint64_t read(std::uint64_t offset, unsigned bytes) const;
  void write(std::uint64_t offset, unsigned bytes, std::uint64_t value);
  void set_control(bool enabled, bool masked);
  void signal(unsigned vector);  // none where there is no such vector

  MsixState save() const;
  void restore(const MsixState& state);

 private:
  void deliver(unsigned vector);
  void flush();

  MessageSink& sink_;
  const unsigned vectors_;
  mutable std::mutex mutex_;
  MsixState state_;
};

}  // namespace berth::device

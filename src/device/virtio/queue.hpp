// Split virtqueues (Virtual I/O Device 1.2, 2.7). Everything in them is the guest's, who may lie and change
// it at any moment: each field is read once and checked, a chain is bounded by the queue's size.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "guest/memory.hpp"

namespace berth::device {

inline constexpr std::uint16_t kMaxQueueSize = 256;

struct QueueState {
  std::uint16_t size = kMaxQueueSize;  // a power of two
  bool ready = false;
  std::uint64_t descriptors = 0, available = 0, used = 0;  // guest addresses
  std::uint16_t next_available = 0, next_used = 0;
  std::uint16_t vector = 0xffff;  // MSI-X; none
};

// One request: buffers of the guest's, those it gives first, then those it wants filled.
struct Chain {
  std::uint16_t head = 0;
  std::vector<std::span<std::byte>> readable, writable;

  std::size_t readable_bytes() const;
  std::size_t writable_bytes() const;
  // Copies from the front of the readable buffers / to the writable ones, from `skip` on; gives how many
  // bytes.
  std::size_t read(std::span<std::byte> out, std::size_t skip = 0) const;
  std::size_t write(std::span<const std::byte> data, std::size_t skip = 0) const;
};

// Not thread-safe: its device locks.
class Queue {
 public:
  enum class Pop { Chain, Empty, Broken };  // Broken: against the specification; the device stops

  // `written` may be empty, and outlives the queue.
  explicit Queue(const guest::GuestMemory& memory, const guest::WriteListener* written = nullptr)
      : memory_(memory), written_(written) {}
  QueueState& state() { return state_; }
  const QueueState& state() const { return state_; }
  void reset() { state_ = {}; }

  // The next request into `chain`, reusing its storage. Whether the queue was set up is checked here.
  Pop pop(Chain& chain);
  // Takes the last pop() back; the request comes again.
  void undo_pop() { --state_.next_available; }
  // Gives a request back with the count of bytes that were written into it. False where the ring is not RAM.
  bool push(const Chain& chain, std::uint32_t written);
  // Of memory that changed otherwise than by a request's buffers; before the push of what changed it.
  void tell_written(std::span<const std::byte> bytes) const;
  // Whether the driver wants to hear of what was pushed.
  bool wants_interrupt() const;

 private:
  struct Descriptor {
    std::uint64_t address;
    std::uint32_t bytes;
    std::uint16_t flags, next;
  };
  bool walk(Chain& chain, std::span<const std::byte> table, std::uint16_t first, bool indirect);
  bool add_buffer(Chain& chain, const Descriptor& descriptor) const;

  const guest::GuestMemory& memory_;
  const guest::WriteListener* written_;
  QueueState state_;
};

}  // namespace berth::device

#include "device/virtio/queue.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace berth::device {
namespace {

constexpr std::uint16_t kNext = 1, kWrite = 2, kIndirect = 4;
constexpr std::uint16_t kNoInterrupt = 1;
constexpr std::uint64_t kDescriptorBytes = 16;
// With indirect tables a chain may be longer than the queue; no driver of ours goes near.
constexpr std::size_t kMaxBuffers = 1024;

// One load of a naturally aligned field that the guest may be writing to.
std::uint16_t load16(std::span<const std::byte> ring, std::size_t offset) {
  return __atomic_load_n(reinterpret_cast<const std::uint16_t*>(ring.data() + offset), __ATOMIC_ACQUIRE);
}

template <typename Buffers>
std::size_t total(const Buffers& buffers) {
  std::size_t bytes = 0;
  for (const auto& buffer : buffers) bytes += buffer.size();
  return bytes;
}

// Calls `copy(buffer part, offset in the data)` for `bytes` bytes of `buffers` after `skip`.
template <typename Buffers, typename Copy>
std::size_t for_parts(const Buffers& buffers, std::size_t bytes, std::size_t skip, Copy copy) {
  std::size_t done = 0;
  for (const auto& buffer : buffers) {
    if (done == bytes) break;
    if (skip >= buffer.size()) {
      skip -= buffer.size();
      continue;
    }
    const std::size_t part = std::min(buffer.size() - skip, bytes - done);
    copy(buffer.subspan(skip, part), done);
    done += part;
    skip = 0;
  }
  return done;
}

}  // namespace

std::size_t Chain::readable_bytes() const { return total(readable); }
std::size_t Chain::writable_bytes() const { return total(writable); }

std::size_t Chain::read(std::span<std::byte> out, std::size_t skip) const {
  return for_parts(readable, out.size(), skip, [&](std::span<std::byte> part, std::size_t at) {
    std::memcpy(out.data() + at, part.data(), part.size());
  });
}

std::size_t Chain::write(std::span<const std::byte> data, std::size_t skip) const {
  return for_parts(writable, data.size(), skip, [&](std::span<std::byte> part, std::size_t at) {
    std::memcpy(part.data(), data.data() + at, part.size());
  });
}

bool Queue::add_buffer(Chain& chain, const Descriptor& descriptor) const {
  const auto buffer = memory_.at(guest::Gpa{descriptor.address}, descriptor.bytes);
  if (buffer.size() != descriptor.bytes || chain.readable.size() + chain.writable.size() >= kMaxBuffers)
    return false;
  const bool writable = (descriptor.flags & kWrite) != 0;
  if (!writable && !chain.writable.empty()) return false;  // readable ones come first (2.7.4.2)
  (writable ? chain.writable : chain.readable).push_back(buffer);
  return true;
}

// Follows a chain through `table`. It cannot loop: it may take as many steps as the table has entries.
bool Queue::walk(Chain& chain, std::span<const std::byte> table, std::uint16_t first, bool indirect) {
  const std::size_t entries = table.size() / kDescriptorBytes;
  std::size_t index = first;
  for (std::size_t step = 0; step < entries; ++step) {
    if (index >= entries) return false;
    Descriptor descriptor;
    std::memcpy(&descriptor, table.data() + index * kDescriptorBytes, sizeof descriptor);
    if ((descriptor.flags & kIndirect) != 0) {
      // A table of its own ends the chain, and holds no further tables (2.7.5.3).
      const auto inner = memory_.at(guest::Gpa{descriptor.address}, descriptor.bytes);
      if (indirect || (descriptor.flags & kNext) != 0 || inner.empty() ||
          inner.size() % kDescriptorBytes != 0)
        return false;
      return walk(chain, inner, 0, true);
    }
    if (!add_buffer(chain, descriptor)) return false;
    if ((descriptor.flags & kNext) == 0) return true;
    index = descriptor.next;
  }
  return false;
}

Queue::Pop Queue::pop(Chain& chain) {
  if (!state_.ready) return Pop::Empty;
  const std::uint64_t size = state_.size;
  const auto ring = memory_.at(guest::Gpa{state_.available}, 4 + 2 * size);
  const auto table = memory_.at(guest::Gpa{state_.descriptors}, kDescriptorBytes * size);
  if (ring.empty() || table.empty() || state_.available % 2 != 0) return Pop::Broken;
  const std::uint16_t available = load16(ring, 2);
  const auto waiting = static_cast<std::uint16_t>(available - state_.next_available);
  if (waiting == 0) return Pop::Empty;
  if (waiting > size) return Pop::Broken;
  chain.readable.clear();
  chain.writable.clear();
  chain.head = load16(ring, 4 + 2 * (state_.next_available % size));
  if (!walk(chain, table, chain.head, false)) return Pop::Broken;
  ++state_.next_available;
  return Pop::Chain;
}

void Queue::tell_written(std::span<const std::byte> bytes) const {
  if (written_ != nullptr && *written_ && !bytes.empty())
    (*written_)(memory_.address_of(bytes), bytes.size());
}

bool Queue::push(const Chain& chain, std::uint32_t written) {
  // Before the guest can see that they are there; all buffers, as a failed request may have filled some.
  for (const auto& buffer : chain.writable) tell_written(buffer);
  const std::uint64_t size = state_.size;
  const auto ring = memory_.at(guest::Gpa{state_.used}, 4 + 8 * size);
  if (ring.empty() || state_.used % 4 != 0) return false;
  const std::array<std::uint32_t, 2> element{chain.head, written};
  std::memcpy(ring.data() + 4 + 8 * (state_.next_used % size), element.data(), sizeof element);
  ++state_.next_used;
  __atomic_store_n(reinterpret_cast<std::uint16_t*>(ring.data() + 2), state_.next_used, __ATOMIC_RELEASE);
  return true;
}

bool Queue::wants_interrupt() const {
  std::atomic_thread_fence(std::memory_order_seq_cst);  // the driver clears the flag, then looks at the ring
  const auto ring = memory_.at(guest::Gpa{state_.available}, 4);
  return ring.empty() || state_.available % 2 != 0 || (load16(ring, 0) & kNoInterrupt) == 0;
}

}  // namespace berth::device

#include "device/pci/msix.hpp"

#include "base/result.hpp"

namespace berth::device {
namespace {

constexpr std::uint32_t kVectorMasked = 1;
constexpr unsigned kControl = 3;

}  // namespace

Msix::Msix(MessageSink& sink, unsigned vectors) : sink_(sink), vectors_(vectors) {
  BERTH_ASSERT(vectors > 0 && vectors <= kMaxMsixVectors);
  for (auto& entry : state_.table) entry[kControl] = kVectorMasked;
}

// Registers are read and written whole, as 4 or 8 bytes; other accesses are not defined and have no effect.
std::uint64_t Msix::read(std::uint64_t offset, unsigned bytes) const {
  if (bytes < 4 || offset % bytes != 0) return 0;
  const std::lock_guard lock(mutex_);
  std::uint64_t value = 0;
  for (unsigned i = 0; i < bytes / 4; ++i) {
    const std::uint64_t at = offset + 4 * i;
    std::uint32_t word = 0;
    if (at < kMsixTableBytes && at / 16 < vectors_) word = state_.table[at / 16][at / 4 % 4];
    if (at == kMsixPendingAt) word = static_cast<std::uint32_t>(state_.pending);
    if (at == kMsixPendingAt + 4) word = static_cast<std::uint32_t>(state_.pending >> 32);
    value |= std::uint64_t{word} << (32 * i);
  }
  return value;
}

void Msix::write(std::uint64_t offset, unsigned bytes, std::uint64_t value) {
  if (bytes < 4 || offset % bytes != 0) return;
  const std::lock_guard lock(mutex_);
  for (unsigned i = 0; i < bytes / 4; ++i) {
    const std::uint64_t at = offset + 4 * i;
    if (at >= kMsixTableBytes || at / 16 >= vectors_) continue;
    state_.table[at / 16][at / 4 % 4] = static_cast<std::uint32_t>(value >> (32 * i));
  }
  flush();
}

void Msix::set_control(bool enabled, bool masked) {
  const std::lock_guard lock(mutex_);
  state_.enabled = enabled;
  state_.masked = masked;
  flush();
}

void Msix::deliver(unsigned vector) {
  const auto& entry = state_.table[vector];
  state_.pending &= ~(std::uint64_t{1} << vector);
  sink_.signal(std::uint64_t{entry[1]} << 32 | entry[0], entry[2]);
}

// Sends what was asked for while it was masked.
void Msix::flush() {
  if (!state_.enabled || state_.masked || state_.pending == 0) return;
  for (unsigned vector = 0; vector < vectors_; ++vector)
    if ((state_.pending >> vector & 1) != 0 && (state_.table[vector][kControl] & kVectorMasked) == 0)
      deliver(vector);
}

void Msix::signal(unsigned vector) {
  if (vector >= vectors_) return;
  const std::lock_guard lock(mutex_);
  if (!state_.enabled) return;
  if (state_.masked || (state_.table[vector][kControl] & kVectorMasked) != 0) {
    state_.pending |= std::uint64_t{1} << vector;
  } else {
    deliver(vector);
  }
}

MsixState Msix::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Msix::restore(const MsixState& state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  flush();
}

}  // namespace berth::device

// KVM's paravirtual clock (Documentation/virt/kvm/x86/msr.rst): the guest gets the frequency and an origin,
// and reads time from its TSC alone.
#pragma once

#include <cstdint>

#include "guest/memory.hpp"

namespace berth::vmm {

// nanoseconds = ((ticks << shift) * multiplier) >> 32, the shift to the right where negative.
struct TscScale {
  std::uint32_t multiplier = 0;
  std::int8_t shift = 0;
};
TscScale tsc_scale(std::uint64_t tsc_hz);

class KvmClock {
 public:
  static bool owns_msr(std::uint32_t index);

  KvmClock(const guest::GuestMemory& memory, std::uint64_t tsc_hz) : memory_(memory), tsc_hz_(tsc_hz) {}
  std::uint64_t read_msr(std::uint32_t index) const;
  // `tsc` and `now_ns` are one moment, `realtime_ns` the time since 1970 when now_ns was 0. False where the
  // structure is not in RAM.
  bool write_msr(std::uint32_t index, std::uint64_t value, std::uint64_t tsc, std::uint64_t now_ns,
                 std::uint64_t realtime_ns);

 private:
  bool publish_time(std::uint64_t tsc, std::uint64_t now_ns);
  bool publish_wall_clock(std::uint64_t address, std::uint64_t realtime_ns);

  const guest::GuestMemory& memory_;
  const std::uint64_t tsc_hz_;
  std::uint64_t system_time_ = 0, wall_clock_ = 0;
  std::uint32_t version_ = 0;
};

}  // namespace berth::vmm

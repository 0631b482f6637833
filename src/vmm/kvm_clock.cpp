#include "vmm/kvm_clock.hpp"

#include <span>

namespace berth::vmm {
namespace {

constexpr std::uint32_t kWallClockOld = 0x11, kSystemTimeOld = 0x12;
constexpr std::uint32_t kWallClock = 0x4b564d00, kSystemTime = 0x4b564d01;
constexpr std::uint64_t kEnable = 1;
constexpr std::uint64_t kSecond = 1'000'000'000;

struct PvTime {
  std::uint32_t version;
  std::uint32_t pad;
  std::uint64_t tsc_timestamp;
  std::uint64_t system_time;
  std::uint32_t tsc_to_system_mul;
  std::int8_t tsc_shift;
  std::uint8_t flags;
  std::uint8_t pad2[2];
};
static_assert(sizeof(PvTime) == 32);
constexpr std::uint8_t kStable = 1;

struct PvWallClock {
  std::uint32_t version, sec, nsec;
};

template <typename T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

TscScale tsc_scale(std::uint64_t tsc_hz) {
  TscScale scale;
  // The multiplier's top bit is set, so that it has all the precision it can.
  unsigned __int128 fraction = (static_cast<unsigned __int128>(kSecond) << 32) / tsc_hz;
  while (fraction >> 32 != 0) {
    fraction >>= 1;
    ++scale.shift;
  }
  while (fraction >> 31 == 0) {
    --scale.shift;
    fraction = (static_cast<unsigned __int128>(kSecond) << (32 - scale.shift)) / tsc_hz;
  }
  scale.multiplier = static_cast<std::uint32_t>(fraction);
  return scale;
}

bool KvmClock::owns_msr(std::uint32_t index) {
  return index == kWallClock || index == kSystemTime || index == kWallClockOld || index == kSystemTimeOld;
}

std::uint64_t KvmClock::read_msr(std::uint32_t index) const {
  return index == kSystemTime || index == kSystemTimeOld ? system_time_ : wall_clock_;
}

bool KvmClock::write_msr(std::uint32_t index, std::uint64_t value, std::uint64_t tsc, std::uint64_t now_ns,
                         std::uint64_t realtime_ns) {
  if (index == kSystemTime || index == kSystemTimeOld) {
    system_time_ = value;
    return (value & kEnable) == 0 || publish_time(tsc, now_ns);
  }
  wall_clock_ = value;
  return publish_wall_clock(value, realtime_ns);
}

// The TSC is invariant, so what is published once stays true. An even version says that it is complete.
bool KvmClock::publish_time(std::uint64_t tsc, std::uint64_t now_ns) {
  const TscScale scale = tsc_scale(tsc_hz_);
  version_ += 2;
  const PvTime time{.version = version_,
                    .tsc_timestamp = tsc,
                    .system_time = now_ns,
                    .tsc_to_system_mul = scale.multiplier,
                    .tsc_shift = scale.shift,
                    .flags = kStable};
  return memory_.write(guest::Gpa{system_time_ & ~kEnable}, bytes_of(time)).has_value();
}

bool KvmClock::publish_wall_clock(std::uint64_t address, std::uint64_t realtime_ns) {
  const PvWallClock clock{2, static_cast<std::uint32_t>(realtime_ns / kSecond),
                          static_cast<std::uint32_t>(realtime_ns % kSecond)};
  return memory_.write(guest::Gpa{address}, bytes_of(clock)).has_value();
}

}  // namespace berth::vmm

#include "sys/tsc.hpp"

#include <cpuid.h>
#include <time.h>
#include <x86intrin.h>

#include <array>

namespace berth::sys {
namespace {

using Leaf = std::array<std::uint32_t, 4>;
Leaf cpuid(std::uint32_t leaf) {
  Leaf out{};
  __cpuid_count(leaf, 0, out[0], out[1], out[2], out[3]);
  return out;
}

// SDM vol. 2, CPUID 0x15; and the timing leaf that VMware defined and others took over.
std::uint64_t published_hz() {
  if (cpuid(0)[0] >= 0x15) {
    const Leaf ratio = cpuid(0x15);
    if (ratio[0] != 0 && ratio[1] != 0 && ratio[2] != 0) return std::uint64_t{ratio[2]} * ratio[1] / ratio[0];
  }
  const bool hypervisor = (cpuid(1)[2] >> 31 & 1) != 0;
  if (hypervisor && cpuid(0x40000000)[0] >= 0x40000010 && cpuid(0x40000000)[0] < 0x50000000)
    return std::uint64_t{cpuid(0x40000010)[0]} * 1000;
  return 0;
}

std::uint64_t monotonic_ns() {
  struct timespec now {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

struct Moment {
  std::uint64_t ns, tsc;
};

// The two clocks read at once: the reading that was interrupted least counts.
Moment read_both() {
  Moment best{};
  std::uint64_t shortest = ~std::uint64_t{0};
  for (int i = 0; i < 8; ++i) {
    const std::uint64_t before = __rdtsc();
    const std::uint64_t ns = monotonic_ns();
    const std::uint64_t took = __rdtsc() - before;
    if (took >= shortest) continue;
    shortest = took;
    best = {ns, before + took / 2};
  }
  return best;
}

std::uint64_t measured_hz() {
  constexpr std::uint64_t kWindowNs = 10'000'000;
  const Moment start = read_both();
  struct timespec pause {
    0, kWindowNs
  };
  while (::nanosleep(&pause, &pause) != 0) {
  }
  const Moment end = read_both();
  const auto ticks = static_cast<unsigned __int128>(end.tsc - start.tsc);
  return static_cast<std::uint64_t>(ticks * 1'000'000'000 / (end.ns - start.ns));
}

}  // namespace

std::uint64_t tsc_hz() {
  const std::uint64_t published = published_hz();
  return published != 0 ? published : measured_hz();
}

}  // namespace berth::sys

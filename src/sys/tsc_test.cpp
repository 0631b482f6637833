#include "sys/tsc.hpp"

#include <gtest/gtest.h>
#include <x86intrin.h>

#include <chrono>
#include <thread>

namespace berth::sys {
namespace {

TEST(Tsc, RateMatchesTheMonotonicClock) {
  const std::uint64_t hz = tsc_hz();
  const auto start = std::chrono::steady_clock::now();
  const std::uint64_t first = __rdtsc();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto ticks = static_cast<double>(__rdtsc() - first);
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
  EXPECT_NEAR(ticks / passed.count() / static_cast<double>(hz), 1.0, 0.01);
}

}  // namespace
}  // namespace berth::sys

// What the demo runs inside each unit: a short compute figure and a short system-call figure, as one line of JSON.
// Static and without dependencies, so that it runs in any image.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

constexpr int kRepeats = 5;

// The smallest of a few runs: noise only ever adds time.
template <typename Work>
double best_ns(int operations, Work work) {
  double best = 1e18;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count() / operations);
  }
  return best;
}

// Sorting pseudo-random numbers (xorshift64): compute, memory and branches in one. Nanoseconds an element.
double sort_ns() {
  constexpr int kElements = 200'000;
  std::vector<std::uint64_t> numbers(kElements);
  return best_ns(kElements, [&] {
    std::uint64_t state = 88172645463325252U;
    for (auto& number : numbers) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      number = state;
    }
    std::sort(numbers.begin(), numbers.end());
  });
}

// getppid() is never cached by the C library and does next to nothing in the kernel. Nanoseconds a call.
double syscall_ns() {
  constexpr int kCalls = 200'000;
  return best_ns(kCalls, [] {
    for (int call = 0; call < kCalls; ++call) ::syscall(SYS_getppid);
  });
}

}  // namespace

int main() {
  std::printf("{\"sort_ns\": %.1f, \"syscall_ns\": %.1f}\n", sort_ns(), syscall_ns());
  return 0;
}

// How long to wait before trying again, and when to give up.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace berth::image::registry {

struct BackoffPolicy {
  unsigned attempts = 6;                 // in all, without progress between them
  std::chrono::milliseconds first{250};  // doubled for each attempt
  std::chrono::milliseconds longest{20'000};
  std::chrono::milliseconds longest_asked{120'000};  // what a Retry-After may ask of us
};

class Backoff {
 public:
  explicit Backoff(const BackoffPolicy& policy) : policy_(policy) {}

  // The wait before the next attempt; nothing where it is time to give up. `asked` is the server's
  // Retry-After: waited for in full, or, past `longest_asked`, given up on. Half of our own wait is random,
  // so that many clients of a registry that comes back do not all return at once.
  std::optional<std::chrono::milliseconds> next(std::optional<std::chrono::milliseconds> asked);
  // Something was achieved: counting begins anew.
  void progress() { failures_ = 0; }

 private:
  BackoffPolicy policy_;
  unsigned failures_ = 0;
};

}  // namespace berth::image::registry

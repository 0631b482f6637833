// Whether and when an instance that ended is started again.
#pragma once

#include <chrono>

#include "isolate/config.hpp"

namespace berth::node {

// `failures` counts restarts since the instance last ran for long; `stop_requested`: a person stopped it.
bool should_restart(const isolate::RestartPolicy& policy, int exit_code, unsigned restarts,
                    bool stop_requested);

// 100 ms doubled with each restart, a minute at most; from the start again once it ran for ten seconds.
class Backoff {
 public:
  static constexpr std::chrono::milliseconds kFirst{100};
  static constexpr std::chrono::milliseconds kLongest{60000};
  static constexpr std::chrono::seconds kCalm{10};

  // The pause before the next start, after a run of `ran`.
  std::chrono::milliseconds next(std::chrono::milliseconds ran);

 private:
  std::chrono::milliseconds delay_{0};
};

}  // namespace berth::node

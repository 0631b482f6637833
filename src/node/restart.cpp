#include "node/restart.hpp"

#include <algorithm>

namespace berth::node {

bool should_restart(const isolate::RestartPolicy& policy, int exit_code, unsigned restarts,
                    bool stop_requested) {
  using enum isolate::RestartMode;
  if (stop_requested) return false;
  switch (policy.mode) {
    case No:
      return false;
    case Always:
    case UnlessStopped:
      return true;
    case OnFailure:
      return exit_code != 0 && (policy.max_retries == 0 || restarts < policy.max_retries);
  }
  return false;
}

std::chrono::milliseconds Backoff::next(std::chrono::milliseconds ran) {
  if (ran >= kCalm) delay_ = {};
  delay_ = std::clamp(delay_ * 2, kFirst, kLongest);
  return delay_;
}

}  // namespace berth::node

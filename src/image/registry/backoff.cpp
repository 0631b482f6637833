#include "image/registry/backoff.hpp"

#include <algorithm>
#include <random>

namespace berth::image::registry {

std::optional<std::chrono::milliseconds> Backoff::next(std::optional<std::chrono::milliseconds> asked) {
  if (++failures_ >= policy_.attempts) return std::nullopt;
  if (asked && *asked > policy_.longest_asked) return std::nullopt;
  const unsigned doublings = std::min(failures_ - 1, 16U);
  const std::int64_t full = std::min(policy_.first.count() << doublings, policy_.longest.count());
  static thread_local std::minstd_rand generator{std::random_device{}()};
  const std::chrono::milliseconds own(full / 2 +
                                      std::uniform_int_distribution<std::int64_t>(0, full / 2)(generator));
  return std::max(own, asked.value_or(std::chrono::milliseconds(0)));
}

}  // namespace berth::image::registry

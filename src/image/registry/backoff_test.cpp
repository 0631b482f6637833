#include "image/registry/backoff.hpp"

#include <gtest/gtest.h>

namespace berth::image::registry {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, DoublesWithinItsBoundsAndGivesUp) {
  Backoff backoff({.attempts = 5, .first = 100ms, .longest = 300ms, .longest_asked = 10s});
  for (const auto full : {100ms, 200ms, 300ms, 300ms}) {
    const auto wait = backoff.next(std::nullopt);
    ASSERT_TRUE(wait.has_value());
    EXPECT_GE(*wait, full / 2);
    EXPECT_LE(*wait, full);
  }
  EXPECT_FALSE(backoff.next(std::nullopt).has_value());
}

TEST(Backoff, ProgressBeginsAnew) {
  Backoff backoff({.attempts = 2, .first = 1ms, .longest = 1ms, .longest_asked = 1s});
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(backoff.next(std::nullopt).has_value());
    backoff.progress();
  }
}

TEST(Backoff, HonoursTheServersWish) {
  Backoff backoff({.attempts = 5, .first = 1ms, .longest = 1ms, .longest_asked = 10s});
  EXPECT_EQ(backoff.next(7s), std::optional<std::chrono::milliseconds>(7s));
  EXPECT_FALSE(backoff.next(11s).has_value());
}

}  // namespace
}  // namespace berth::image::registry

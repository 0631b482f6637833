#include "node/restart.hpp"

#include <gtest/gtest.h>

namespace berth::node {
namespace {

using isolate::RestartMode;
using namespace std::chrono_literals;

TEST(RestartTest, PolicyDecides) {
  EXPECT_FALSE(should_restart({RestartMode::No, 0}, 1, 0, false));
  EXPECT_TRUE(should_restart({RestartMode::Always, 0}, 0, 99, false));
  EXPECT_TRUE(should_restart({RestartMode::UnlessStopped, 0}, 0, 99, false));
  EXPECT_FALSE(should_restart({RestartMode::OnFailure, 0}, 0, 0, false));
  EXPECT_TRUE(should_restart({RestartMode::OnFailure, 0}, 1, 99, false));
  EXPECT_TRUE(should_restart({RestartMode::OnFailure, 3}, 1, 2, false));
  EXPECT_FALSE(should_restart({RestartMode::OnFailure, 3}, 1, 3, false));
}

TEST(RestartTest, AStoppedInstanceStaysStopped) {
  EXPECT_FALSE(should_restart({RestartMode::Always, 0}, 137, 0, true));
  EXPECT_FALSE(should_restart({RestartMode::OnFailure, 0}, 137, 0, true));
}

TEST(RestartTest, BackoffDoublesUpToAMinute) {
  Backoff backoff;
  EXPECT_EQ(backoff.next(0ms), 100ms);
  EXPECT_EQ(backoff.next(0ms), 200ms);
  EXPECT_EQ(backoff.next(0ms), 400ms);
  for (int i = 0; i < 20; ++i) backoff.next(0ms);
  EXPECT_EQ(backoff.next(9999ms), 60000ms);
}

TEST(RestartTest, ALongRunStartsTheBackoffAnew) {
  Backoff backoff;
  for (int i = 0; i < 5; ++i) backoff.next(0ms);
  EXPECT_EQ(backoff.next(10s), 100ms);
}

}  // namespace
}  // namespace berth::node

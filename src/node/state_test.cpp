#include "node/state.hpp"

#include <gtest/gtest.h>

namespace berth::node {
namespace {

constexpr State kLast = State::Removing;

TEST(StateTest, NamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(kLast); ++i) {
    const auto state = static_cast<State>(i);
    EXPECT_EQ(*parse_state(state_name(state)), state);
  }
  EXPECT_EQ(parse_state("asleep").error().code, Code::InvalidArgument);
}

TEST(StateTest, ARunningInstanceCannotBeStartedOrRemoved) {
  EXPECT_FALSE(may_follow(State::Running, State::Starting));
  EXPECT_FALSE(may_follow(State::Running, State::Removing));
  EXPECT_FALSE(may_follow(State::Paused, State::Removing));
  EXPECT_TRUE(may_follow(State::Running, State::Exited));
  EXPECT_TRUE(may_follow(State::Exited, State::Starting));
  EXPECT_TRUE(may_follow(State::Failed, State::Starting));
}

TEST(StateTest, NothingFollowsRemoval) {
  for (int i = 0; i <= static_cast<int>(kLast); ++i) EXPECT_FALSE(may_follow(kLast, static_cast<State>(i)));
}

TEST(StateTest, EveryActiveStateCanEnd) {
  for (int i = 0; i <= static_cast<int>(kLast); ++i) {
    const auto state = static_cast<State>(i);
    if (is_active(state)) {
      EXPECT_TRUE(may_follow(state, State::Exited)) << state_name(state);
      EXPECT_TRUE(needs_owner(state));
    }
  }
  EXPECT_FALSE(needs_owner(State::Exited));
  EXPECT_TRUE(needs_owner(State::Creating));
}

}  // namespace
}  // namespace berth::node

#include "image/registry/challenge.hpp"

#include <gtest/gtest.h>

namespace berth::image::registry {
namespace {

TEST(Challenge, BearerAsDockerHubSendsIt) {
  const auto challenges = parse_challenges(
      R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push")");
  ASSERT_EQ(challenges.size(), 1U);
  EXPECT_EQ(challenges[0].scheme, "bearer");
  EXPECT_EQ(challenges[0].parameter("realm"), "https://auth.docker.io/token");
  EXPECT_EQ(challenges[0].parameter("service"), "registry.docker.io");
  EXPECT_EQ(challenges[0].parameter("scope"), "repository:a/b:pull,push");
  EXPECT_EQ(challenges[0].parameter("error"), "");
}

TEST(Challenge, SeveralInOneField) {
  const auto challenges =
      parse_challenges(R"(Negotiate dGVzdA==, basic REALM = "a \"b\" c" , charset=UTF-8, Bearer realm=x)");
  ASSERT_GE(challenges.size(), 3U);
  EXPECT_EQ(challenges.front().scheme, "negotiate");
  const auto& basic = challenges[challenges.size() - 2];
  EXPECT_EQ(basic.scheme, "basic");
  EXPECT_EQ(basic.parameter("realm"), "a \"b\" c");
  EXPECT_EQ(basic.parameter("charset"), "UTF-8");
  EXPECT_EQ(challenges.back().scheme, "bearer");
  EXPECT_EQ(challenges.back().parameter("realm"), "x");
}

TEST(Challenge, NonsenseEndsTheListAndIsBounded) {
  EXPECT_TRUE(parse_challenges("").empty());
  EXPECT_TRUE(parse_challenges("=\"x\"").empty());
  EXPECT_EQ(parse_challenges("Basic \x01 Bearer").size(), 1U);
  EXPECT_EQ(parse_challenges("Basic realm=\"never closed").at(0).parameter("realm"), "never closed");
  std::string flood;
  for (int i = 0; i < 1000; ++i) flood += "a, ";
  EXPECT_LE(parse_challenges(flood).size(), 16U);
}

}  // namespace
}  // namespace berth::image::registry

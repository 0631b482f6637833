#include "node/detach_keys.hpp"

#include <gtest/gtest.h>

namespace berth::node {
namespace {

TEST(DetachKeysTest, Parses) {
  EXPECT_EQ(*parse_detach_keys("ctrl-p,ctrl-q"), "\x10\x11");
  EXPECT_EQ(*parse_detach_keys("a,ctrl-["), "a\x1b");
  EXPECT_EQ(*parse_detach_keys(""), "");
  EXPECT_FALSE(parse_detach_keys("ctrl-").has_value());
  EXPECT_FALSE(parse_detach_keys("a,,b").has_value());
}

TEST(DetachKeysTest, HoldsBackABeginningOnly) {
  DetachKeys keys("\x10\x11");
  std::string out;
  EXPECT_FALSE(keys.filter("ab\x10", out));
  EXPECT_EQ(out, "ab");
  EXPECT_FALSE(keys.filter("c", out));
  EXPECT_EQ(out,
            "ab\x10"
            "c");
  EXPECT_FALSE(keys.filter("\x10\x10", out));
  EXPECT_EQ(out,
            "ab\x10"
            "c\x10");
  EXPECT_TRUE(keys.filter("\x11zzz", out));
}

TEST(DetachKeysTest, NoKeysPassEverything) {
  DetachKeys keys("");
  std::string out;
  EXPECT_FALSE(keys.filter("\x10\x11", out));
  EXPECT_EQ(out, "\x10\x11");
}

}  // namespace
}  // namespace berth::node

#include "base/text.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

using namespace std::chrono_literals;

TEST(Text, SplitAndJoin) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_TRUE(split("", ',').empty());
  EXPECT_EQ(join({"", "a", "b"}, ","), ",a,b");
  EXPECT_EQ(trim(" \ta b\n"), "a b");
}

TEST(Text, Sizes) {
  EXPECT_EQ(*parse_size("512"), 512U);
  EXPECT_EQ(*parse_size("64k"), 65536U);
  EXPECT_EQ(*parse_size("1.5g"), 1610612736U);
  EXPECT_EQ(*parse_size("2MiB"), 2097152U);
  for (const char* bad : {"", "k", "-1", "1x", "1kk", "99999999999999999999", "1e30", "18014398509481984k"}) {
    EXPECT_FALSE(parse_size(bad).has_value()) << bad;
  }
  EXPECT_EQ(format_size(999), "999 B");
  EXPECT_EQ(format_size(1572864), "1.50 MiB");
}

TEST(Text, Durations) {
  EXPECT_EQ(*parse_duration("10"), 10s);
  EXPECT_EQ(*parse_duration("1m30s"), 90s);
  EXPECT_EQ(*parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(*parse_duration("250ms"), 250ms);
  for (const char* bad : {"", "s", "1x", "-3", "1m-1s"}) EXPECT_FALSE(parse_duration(bad).has_value()) << bad;
  EXPECT_EQ(format_age(3725s), "1 hour");
}

TEST(Text, CpuLists) {
  EXPECT_EQ(*parse_cpu_list("2,0-1,1"), (std::vector<unsigned>{0, 1, 2}));
  for (const char* bad : {"", "a", "3-1", "1-", "0-99999999"})
    EXPECT_FALSE(parse_cpu_list(bad).has_value()) << bad;
}

TEST(Text, TimesRoundTrip) {
  const auto when = std::chrono::system_clock::time_point(1767322985s + 6ns);
  EXPECT_EQ(format_rfc3339(when), "2026-01-02T03:03:05.000000006Z");
  EXPECT_EQ(*parse_rfc3339("2026-01-02T03:03:05.000000006Z"), when);
  EXPECT_EQ(*parse_rfc3339("2026-01-02T05:03:05.000000006+02:00"), when);
  EXPECT_FALSE(parse_rfc3339("yesterday").has_value());
}

TEST(Text, Base64) {
  for (const char* text : {"", "a", "ab", "abc", "user:pass"}) {
    EXPECT_EQ(*base64_decode(base64_encode(text)), text);
  }
  EXPECT_EQ(base64_encode("user:pass"), "dXNlcjpwYXNz");
  EXPECT_FALSE(base64_decode("a").has_value());
  EXPECT_FALSE(base64_decode("a!bc").has_value());
}

}  // namespace
}  // namespace berth

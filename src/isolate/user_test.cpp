#include "isolate/user.hpp"

#include <gtest/gtest.h>

namespace berth::isolate {
namespace {

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n:x:1\nbad\nweb:x:33:44:w:/srv/web:/bin/sh\nhuge:x:99999999999:1:::\n";
constexpr std::string_view kGroup =
    "root:x:0:\nwww:x:44:web,other\nextra:x:55:other,web\ndocker:x:999:root\n";

TEST(User, EmptyIsRootWithItsGroups) {
  const auto user = *resolve_user_in(kPasswd, kGroup, "");
  EXPECT_EQ(user.uid, 0U);
  EXPECT_EQ(user.home, "/root");
  EXPECT_EQ(user.groups, (std::vector<gid_t>{999}));
}

TEST(User, NamesAndNumbersFindTheEntry) {
  for (const char* spec : {"web", "33"}) {
    const auto user = *resolve_user_in(kPasswd, kGroup, spec);
    EXPECT_EQ(user.uid, 33U);
    EXPECT_EQ(user.gid, 44U);
    EXPECT_EQ(user.home, "/srv/web");
    EXPECT_EQ(user.groups, (std::vector<gid_t>{44, 55}));
  }
}

TEST(User, AGivenGroupReplacesTheOthers) {
  const auto user = *resolve_user_in(kPasswd, kGroup, "web:extra");
  EXPECT_EQ(user.gid, 55U);
  EXPECT_TRUE(user.groups.empty());
  EXPECT_EQ(resolve_user_in(kPasswd, kGroup, "web:7")->gid, 7U);
}

TEST(User, NumbersNeedNoEntryNamesDo) {
  EXPECT_EQ(resolve_user_in("", "", "1234")->uid, 1234U);
  EXPECT_EQ(resolve_user_in("", "", "1234")->home, "/");
  EXPECT_EQ(resolve_user_in("", "", "nobody").error().message,
            "user \"nobody\": not in the image's /etc/passwd");
  EXPECT_FALSE(resolve_user_in(kPasswd, kGroup, "web:nogroup").has_value());
  EXPECT_FALSE(resolve_user_in(kPasswd, kGroup, "huge").has_value());
  EXPECT_FALSE(resolve_user_in(kPasswd, kGroup, "4294967295").has_value());
}

}  // namespace
}  // namespace berth::isolate

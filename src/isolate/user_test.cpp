#include "isolate/user.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/fd.hpp"

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

// As Docker has it, and Kubernetes counts on when it is to run nothing as root.
TEST(User, ANumberIsNobodysName) {
  constexpr std::string_view kNamed = "1000:x:0:0::/root:/bin/sh\nreal:x:1000:50::/home/real:/bin/sh\n";
  EXPECT_EQ(resolve_user_in(kNamed, "", "1000")->uid, 1000U);
  EXPECT_EQ(resolve_user_in(kNamed, "", "1000")->home, "/home/real");
  EXPECT_EQ(resolve_user_in("", "7:x:0:\n", "1000:7")->gid, 7U);
}

TEST(User, NumbersDoNotOverflow) {
  constexpr std::string_view kNamed = "4294967296:x:0:0::/root:/bin/sh\n";
  EXPECT_EQ(resolve_user_in(kNamed, "", "4294967296").error().message,
            "user 4294967296: numbers go up to 4294967294");
  EXPECT_FALSE(resolve_user_in("", "4294967296:x:0:\n", "0:4294967296").has_value());
  EXPECT_FALSE(resolve_user_in("", "", "99999999999999999999999999").has_value());
  EXPECT_EQ(resolve_user_in("", "", "4294967294")->uid, 4294967294U);
  EXPECT_FALSE(resolve_user_in("", "", "-1").has_value());
  EXPECT_FALSE(resolve_user_in("", "", "+1").has_value());
}

TEST(User, ANumbersName) {
  EXPECT_EQ(user_name(kPasswd, 33), "web");
  EXPECT_EQ(user_name(kPasswd, 7), "7");
  EXPECT_EQ(user_name("", 0), "0");
}

class PasswdFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "berth-user-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    ASSERT_TRUE(sys::make_dir(directory_ + "/etc"));
  }
  void TearDown() override { ASSERT_TRUE(sys::remove_tree(directory_)); }
  Result<Credentials> resolve(std::string_view spec) {
    return resolve_user(TRY(sys::open(directory_, O_PATH | O_DIRECTORY)).get(), spec);
  }
  std::string directory_;
};

TEST_F(PasswdFile, OnlyAPlainFileIsRead) {
  const std::string path = directory_ + "/etc/passwd";
  ASSERT_EQ(::mkfifo(path.c_str(), 0644), 0);
  EXPECT_EQ(resolve("5")->uid, 5U);
  ASSERT_TRUE(sys::remove_tree(path));
  ASSERT_EQ(::symlink("/dev/zero", path.c_str()), 0);
  EXPECT_EQ(resolve("5")->uid, 5U);
}

TEST_F(PasswdFile, IsTheImagesOwn) {
  ASSERT_EQ(::symlink("../../../../../../../etc/passwd", (directory_ + "/etc/passwd").c_str()), 0);
  EXPECT_FALSE(resolve("root").has_value());
}

TEST_F(PasswdFile, MayBeHugeAndOfEmptyLines) {
  ASSERT_TRUE(sys::replace_file(directory_ + "/etc/passwd", std::string(4 << 20, '\n')));
  EXPECT_EQ(resolve("5")->home, "/");
  ASSERT_TRUE(sys::replace_file(directory_ + "/etc/passwd", std::string(5 << 20, ':')));
  EXPECT_EQ(resolve("5")->home, "/");
}

}  // namespace
}  // namespace berth::isolate

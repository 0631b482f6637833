#include "sys/fd.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "sys/entry.hpp"

namespace berth::sys {
namespace {

class FdTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "berth-fd-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    root_ = *open(directory_, O_PATH | O_DIRECTORY);
  }
  void TearDown() override { ASSERT_TRUE(remove_tree(directory_).has_value()); }
  std::string directory_;
  Fd root_;
};

TEST_F(FdTest, ReplaceFileLeavesNoTemporary) {
  for (const Keeping keeping : {Keeping::Transient, Keeping::Usual, Keeping::Durable}) {
    const std::string path = directory_ + "/f";
    ASSERT_TRUE(replace_file(path, "one", 0644, keeping).has_value());
    ASSERT_TRUE(replace_file(path, "two", 0600, keeping).has_value());
    EXPECT_EQ(*read_file(path), "two");
    EXPECT_EQ((*stat(path)).st_mode & 0777U, 0600U);
    EXPECT_FALSE(replace_file(directory_ + "/none/f", "x", 0600, keeping).has_value());
    EXPECT_EQ(*list_names(open(directory_, O_RDONLY | O_DIRECTORY)->get()), std::vector<std::string>{"f"});
    ASSERT_EQ(::unlink(path.c_str()), 0);
  }
}

TEST_F(FdTest, RemoveTreeNeverFollowsLinks) {
  ASSERT_TRUE(make_dir(directory_ + "/keep/a").has_value());
  ASSERT_TRUE(make_dir(directory_ + "/gone/b/c").has_value());
  ASSERT_EQ(::symlink("../../keep", (directory_ + "/gone/b/link").c_str()), 0);
  ASSERT_TRUE(remove_tree(directory_ + "/gone").has_value());
  ASSERT_TRUE(remove_tree(directory_ + "/gone").has_value());
  EXPECT_TRUE(exists(directory_ + "/keep/a"));
}

TEST_F(FdTest, ReadFileKeepsItsLimit) {
  ASSERT_TRUE(replace_file(directory_ + "/f", std::string(1000, 'x')).has_value());
  EXPECT_EQ(read_file(directory_ + "/f", 999).error().code, Code::ResourceExhausted);
}

TEST_F(FdTest, LocksExcludeEachOther) {
  const Fd held = *lock_file(directory_ + "/lock");
  EXPECT_FALSE(static_cast<bool>(*try_lock_file(directory_ + "/lock")));
}

TEST_F(FdTest, DiskUsageCountsAHardLinkOnce) {
  ASSERT_TRUE(make_dir(directory_ + "/d").has_value());
  ASSERT_TRUE(replace_file(directory_ + "/d/f", std::string(1 << 20, 'x')).has_value());
  ASSERT_EQ(::link((directory_ + "/d/f").c_str(), (directory_ + "/d/g").c_str()), 0);
  const auto used = *disk_usage(directory_ + "/d");
  EXPECT_GE(used, 1U << 20);
  EXPECT_LT(used, (1U << 20) + 65536);
}

}  // namespace
}  // namespace berth::sys

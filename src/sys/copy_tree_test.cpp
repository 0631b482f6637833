#include "sys/copy_tree.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sys/fd.hpp"

namespace berth::sys {
namespace {

class CopyTree : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "berth-copy-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    ASSERT_TRUE(make_dir(from()));
    ASSERT_TRUE(make_dir(to()));
  }
  void TearDown() override { ASSERT_TRUE(remove_tree(directory_)); }
  std::string from() const { return directory_ + "/from"; }
  std::string to() const { return directory_ + "/to"; }
  int copy() const {
    const Fd source = *open(from(), O_RDONLY | O_DIRECTORY);
    const Fd target = *open(to(), O_RDONLY | O_DIRECTORY);
    return copy_tree(source.get(), target.get());
  }
  std::string directory_;
};

TEST_F(CopyTree, KeepsWhatFilesAre) {
  ASSERT_TRUE(make_dir(from() + "/d/e", 0755));
  ASSERT_TRUE(replace_file(from() + "/d/e/f", std::string(3 << 20, 'x'), 0640));
  ASSERT_EQ(::chmod((from() + "/d").c_str(), 01711), 0);
  ASSERT_EQ(::symlink("/nowhere", (from() + "/d/link").c_str()), 0);
  ASSERT_EQ(::mkfifo((from() + "/pipe").c_str(), 0602), 0);
  const bool attributes = ::setxattr((from() + "/d/e/f").c_str(), "user.note", "hello", 5, 0) == 0;
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(replace_file(from() + "/d/many" + std::to_string(i), "1"));
  ASSERT_EQ(copy(), 0);
  EXPECT_EQ(read_file(to() + "/d/e/f")->size(), 3U << 20);
  EXPECT_EQ(stat(to() + "/d/e/f")->st_mode, S_IFREG | 0640U);
  EXPECT_EQ(stat(to() + "/d/e/f")->st_mtim.tv_nsec, stat(from() + "/d/e/f")->st_mtim.tv_nsec);
  EXPECT_EQ(stat(to() + "/d")->st_mode, S_IFDIR | 01711U);
  EXPECT_EQ(*read_link(to() + "/d/link"), "/nowhere");
  EXPECT_TRUE(S_ISFIFO(stat(to() + "/pipe")->st_mode));
  EXPECT_TRUE(exists(to() + "/d/many299"));
  char value[8] = {};
  if (attributes) {
    EXPECT_EQ(::getxattr((to() + "/d/e/f").c_str(), "user.note", value, sizeof value), 5);
  }
}

TEST_F(CopyTree, TooDeepIsAnError) {
  std::string path = from();
  for (int i = 0; i < 70; ++i) path += "/d";
  ASSERT_TRUE(make_dir(path));
  EXPECT_EQ(copy(), ELOOP);
}

}  // namespace
}  // namespace berth::sys

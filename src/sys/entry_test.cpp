#include "sys/entry.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

namespace berth::sys {
namespace {

class EntryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "berth-entry-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
    dir_ = *open(path_, O_RDONLY | O_DIRECTORY);
  }
  void TearDown() override { ASSERT_TRUE(remove_tree(path_).has_value()); }
  void write(const std::string& name, std::string_view text) {
    const Fd file = *open_at(dir_.get(), name, O_CREAT | O_WRONLY, 0644);
    ASSERT_TRUE(write_all(file.get(), text).has_value());
  }

  std::string path_;
  Fd dir_;
};

TEST_F(EntryTest, NothingFollowsASymlink) {
  write("target", "x");
  ASSERT_TRUE(set_mode_at(dir_.get(), "target", 0600).has_value());
  ASSERT_TRUE(make_symlink_at("target", dir_.get(), "link").has_value());
  EXPECT_TRUE(S_ISLNK((*find_at(dir_.get(), "link"))->st_mode));
  EXPECT_EQ(set_mode_at(dir_.get(), "link", 0777).error().code, Code::FailedPrecondition);
  ASSERT_TRUE(set_times_at(dir_.get(), "link", {5, 0}).has_value());
  ASSERT_TRUE(link_at(dir_.get(), "link", dir_.get(), "second").has_value());
  EXPECT_TRUE(S_ISLNK((*find_at(dir_.get(), "second"))->st_mode));
  ASSERT_TRUE(remove_at(dir_.get(), "link").has_value());
  const struct stat target = **find_at(dir_.get(), "target");
  EXPECT_EQ(target.st_mode & 07777, 0600U);
  EXPECT_NE(target.st_mtim.tv_sec, 5);
}

TEST_F(EntryTest, AbsentIsNotAnErrorWhereTheHeaderSaysSo) {
  EXPECT_FALSE(find_at(dir_.get(), "none")->has_value());
  EXPECT_TRUE(remove_at(dir_.get(), "none").has_value());
  EXPECT_TRUE(remove_tree_at(dir_.get(), "none").has_value());
  EXPECT_TRUE(remove_xattr(dir_.get(), "user.none").has_value());
  EXPECT_FALSE(get_xattr(dir_.get(), "user.none")->has_value());
}

TEST_F(EntryTest, NamesAreSortedByByte) {
  for (const char* name : {"b", "\xff", "B", "a"}) write(name, "");
  EXPECT_EQ(*list_names(dir_.get()), (std::vector<std::string>{"B", "a", "b", "\xff"}));
}

TEST_F(EntryTest, LargeAttributesComeBackWhole) {
  write("f", "");
  const Xattr note{"user.note", std::string(2000, 'n') + '\0' + "binary"};
  ASSERT_TRUE(set_xattr_at(dir_.get(), "f", note).has_value());
  ASSERT_TRUE(set_xattr_at(dir_.get(), "f", {"user.empty", ""}).has_value());
  EXPECT_EQ(*read_xattrs_at(dir_.get(), "f"), (std::vector<Xattr>{{"user.empty", ""}, note}));
  EXPECT_EQ(get_xattr_at(dir_.get(), "f", "user.note")->value_or(""), note.second);
}

TEST_F(EntryTest, CopiesWithinAndAcrossFileSystems) {
  const std::string text(300'000, 'c');
  write("from", text);
  const Fd from = *open_at(dir_.get(), "from", O_RDONLY);
  const Fd to = *open_at(dir_.get(), "to", O_CREAT | O_RDWR, 0600);
  ASSERT_TRUE(copy_bytes(from.get(), to.get(), text.size()).has_value());
  EXPECT_EQ(*read_file(path_ + "/to"), text);
  EXPECT_EQ(copy_bytes(from.get(), to.get(), text.size() + 1).error().code, Code::Aborted);
  std::string pattern = "/dev/shm/berth-entry-XXXXXX";
  const Fd other(::mkstemp(pattern.data()));
  ASSERT_TRUE(other) << "no other file system to copy to";
  ::unlink(pattern.c_str());
  ASSERT_TRUE(copy_bytes(from.get(), other.get(), text.size()).has_value());
  ::lseek(other.get(), 0, SEEK_SET);
  EXPECT_EQ(*read_all(other.get()), text);
}

}  // namespace
}  // namespace berth::sys

#include "sys/mount_target.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace berth::sys {
namespace {

class MountTarget : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "berth-target-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    ASSERT_TRUE(make_dir(directory_ + "/root"));
    root_ = *open(directory_ + "/root", O_PATH | O_DIRECTORY);
  }
  void TearDown() override { ASSERT_TRUE(remove_tree(directory_)); }
  int target(const char* path, TargetOptions options = {}) {
    int fd = -1;
    const int error = open_target_in(root_.get(), path, options, &fd);
    const Fd opened(fd);
    return error;
  }
  void link(const char* to, const char* name) {
    ASSERT_EQ(::symlink(to, (directory_ + "/root/" + name).c_str()), 0);
  }
  bool inside(const std::string& path) { return exists(directory_ + "/root/" + path); }
  std::string directory_;
  Fd root_;
};

constexpr TargetOptions kFile{TargetKind::File, false, true};

TEST_F(MountTarget, MakesWhatIsMissing) {
  EXPECT_EQ(target("/a/b//c/"), 0);
  EXPECT_EQ(target("/a/b/c"), 0);
  EXPECT_EQ(target("d/e", kFile), 0);
  EXPECT_TRUE(S_ISDIR((*stat(directory_ + "/root/a/b/c")).st_mode));
  EXPECT_TRUE(S_ISREG((*stat(directory_ + "/root/d/e")).st_mode));
  EXPECT_EQ(target("/", {}), 0);
  EXPECT_EQ(target(""), EINVAL);
  EXPECT_EQ(target("/none", {.make = false}), ENOENT);
  EXPECT_FALSE(inside("none"));
}

TEST_F(MountTarget, SymlinksStayInside) {
  link("/", "up");
  link("../../../../..", "dots");
  EXPECT_EQ(target("/up/dots/etc/x", kFile), 0);
  EXPECT_TRUE(inside("etc/x"));
  EXPECT_EQ(target("a/../../../../tmp/berth-escaped"), 0);
  EXPECT_TRUE(inside("tmp/berth-escaped"));
  EXPECT_FALSE(exists("/tmp/berth-escaped"));
}

TEST_F(MountTarget, ALinkThatLeadsNowhereHasItsTargetMade) {
  link("/var/run/x", "absolute");
  link("../other/place", "relative");
  EXPECT_EQ(target("/absolute/file", kFile), 0);
  EXPECT_TRUE(inside("var/run/x/file"));
  EXPECT_EQ(target("/relative"), 0);
  EXPECT_TRUE(inside("other/place"));
  link("loop-b", "loop-a");
  link("loop-a", "loop-b");
  EXPECT_EQ(target("/loop-a/x"), ELOOP);
}

TEST_F(MountTarget, SymlinksCanBeRefused) {
  link("/real", "alias");
  EXPECT_EQ(target("/real"), 0);
  EXPECT_EQ(target("/alias/x", {.no_symlinks = true}), ELOOP);
  EXPECT_FALSE(inside("real/x"));
}

// What an image can do: a link through /proc to a descriptor or root of whoever starts it.
TEST(MountTargetProc, LinksOfProcLeadNowhere) {
  std::string pattern = testing::TempDir() + "berth-outside-XXXXXX";
  const std::string outside = ::mkdtemp(pattern.data());
  const Fd held = *open(outside, O_PATH | O_DIRECTORY);
  const Fd root = *open("/", O_PATH | O_DIRECTORY);
  int fd = -1;
  for (const std::string& way : {"/proc/self/fd/" + std::to_string(held.get()),
                                 std::string("/proc/self/root"), std::string("/proc/self/cwd")}) {
    EXPECT_EQ(open_target_in(root.get(), (way + "/made").c_str(), {}, &fd), ELOOP) << way;
    EXPECT_EQ(open_target_in(root.get(), (way + "/made").c_str(), kFile, &fd), ELOOP) << way;
  }
  EXPECT_FALSE(exists(outside + "/made"));
  EXPECT_TRUE(remove_tree(outside));
}

// Somebody swaps a directory for a link to the outside all the while.
TEST_F(MountTarget, ARaceDoesNotEscape) {
  ASSERT_TRUE(make_dir(directory_ + "/outside"));
  ASSERT_TRUE(make_dir(directory_ + "/root/swap"));
  ASSERT_EQ(::symlink((directory_ + "/outside").c_str(), (directory_ + "/root/evil").c_str()), 0);
  std::atomic<bool> done = false;
  std::thread racer([&] {
    while (!done) ::renameat2(root_.get(), "swap", root_.get(), "evil", 2 /* RENAME_EXCHANGE */);
  });
  for (int i = 0; i < 500; ++i) {
    const std::string path = "/swap/" + std::to_string(i);
    target(path.c_str(), i % 2 == 0 ? TargetOptions{} : kFile);
  }
  done = true;
  racer.join();
  EXPECT_EQ(::rmdir((directory_ + "/outside").c_str()), 0) << "something was made outside";
}

TEST(MountTargetProc, OnlyFiguresOfProcMayBeCovered) {
  const auto check = [](const char* opened, const char* named) {
    const Fd fd(::open(opened, O_PATH | O_CLOEXEC));
    return check_procfs_target(fd.get(), named);
  };
  EXPECT_EQ(check("/proc/meminfo", "/proc/meminfo"), 0);
  EXPECT_EQ(check("/proc/sys", "/proc/sys"), EPERM);
  EXPECT_EQ(check("/proc/self/attr", "/proc/self/attr"), EPERM);
  EXPECT_EQ(check("/proc", "/proc"), EPERM);
  EXPECT_EQ(check("/proc/self/attr", "/proc/meminfo"), EPERM);
  EXPECT_EQ(check("/proc/self", "/harmless"), EPERM);
  EXPECT_EQ(check("/tmp", "/tmp"), 0);
}

}  // namespace
}  // namespace berth::sys

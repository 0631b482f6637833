#include "sys/own_program.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "sys/fd.hpp"
#include "sys/process.hpp"
#include "sys/spawn.hpp"

namespace berth::sys {
namespace {

// That nobody runs it: what runs cannot be written to anyway.
class OwnProgram : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs to be root";
    std::string pattern = testing::TempDir() + "berth-program-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    program_ = directory_ + "/program";
    ASSERT_TRUE(replace_file(program_, *read_file("/bin/true")));
    ASSERT_EQ(::chmod(program_.c_str(), 0755), 0);
  }
  void TearDown() override {
    if (directory_.empty()) return;
    ASSERT_TRUE(remove_tree(directory_));
  }
  std::string directory_;
  std::string program_;
};

TEST_F(OwnProgram, CannotBeChangedThroughItsFile) {
  const Fd file = *out_of_reach(program_);
  ASSERT_TRUE(file);
  const std::string path = fmt::format("/proc/self/fd/{}", file.get());
  EXPECT_EQ(::open(path.c_str(), O_WRONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(::chmod(path.c_str(), 04777), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(::chown(path.c_str(), 1, 1), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_TRUE(open(program_, O_WRONLY)) << "its own path is as it was";
}

TEST_F(OwnProgram, RunsByItsFile) {
  const Fd file = *out_of_reach(program_);
  const auto pid = spawn(program_, {program_}, {.program_file = file.get()});
  ASSERT_TRUE(pid);
  EXPECT_EQ(exit_code_of(**reap(*pid, true)), 0);
}

TEST_F(OwnProgram, OfAFileThatIsOutOfReachTheOwnPathWillDo) {
  const Fd file = *out_of_reach(program_);
  EXPECT_FALSE(*out_of_reach(fmt::format("/proc/self/fd/{}", file.get())));
}

}  // namespace
}  // namespace berth::sys

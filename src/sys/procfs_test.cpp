#include "sys/procfs.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "sys/fd.hpp"

namespace berth::sys {
namespace {

int try_to_open(const char* path) {
  int fd = -1;
  const int error = open_proc_file(path, O_RDONLY, &fd);
  const Fd opened(fd);
  return error;
}

TEST(Procfs, ItsOwnFilesOpen) {
  EXPECT_EQ(try_to_open("sys/kernel/ostype"), 0);
  EXPECT_EQ(try_to_open("thread-self/status"), 0);
  EXPECT_EQ(try_to_open("absent"), ENOENT);
}

TEST(Procfs, NothingLeadsOutOfIt) {
  EXPECT_EQ(try_to_open("../etc/passwd"), EXDEV);
  EXPECT_EQ(try_to_open("/etc/passwd"), EXDEV);
  EXPECT_EQ(try_to_open("self/root/etc/passwd"), ELOOP);
  EXPECT_EQ(try_to_open("self/exe"), ELOOP);
}

}  // namespace
}  // namespace berth::sys

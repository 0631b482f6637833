#include "sys/paths.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

namespace berth::sys {
namespace {

TEST(Paths, EachRootHasARunDirectoryOfItsOwn) {
  const Paths normal = *find_paths("");
  const Paths one = *find_paths("/tmp/one");
  const Paths two = *find_paths("/tmp/two");
  EXPECT_EQ(one.root, "/tmp/one");
  EXPECT_NE(one.run, two.run);
  EXPECT_EQ(one.run.substr(0, normal.run.size()), normal.run);
  EXPECT_EQ(one.run.size(), normal.run.size() + 13);
  EXPECT_EQ(find_paths(normal.root)->run, normal.run);
}

TEST(Paths, RootsBecomeAbsolute) {
  std::string pattern = testing::TempDir() + "berth-paths-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  ASSERT_EQ(::chdir(pattern.c_str()), 0);
  EXPECT_EQ(find_paths("new/store")->root, pattern + "/new/store");
  EXPECT_EQ(find_paths("new/store")->run, find_paths("./new//store/")->run);
  EXPECT_FALSE(find_paths("absent/..").has_value());
  ASSERT_EQ(::chdir("/"), 0);
  ASSERT_EQ(::rmdir(pattern.c_str()), 0);
}

TEST(Paths, OrdinaryUsersHaveTheirOwn) {
  if (!is_ordinary_user()) {
    EXPECT_EQ(find_paths("")->root, "/var/lib/berth");
    EXPECT_EQ(find_paths("")->run, "/run/berth");
    return;
  }
  ASSERT_EQ(::setenv("XDG_DATA_HOME", "/tmp/data", 1), 0);
  EXPECT_EQ(find_paths("")->root, "/tmp/data/berth");
}

}  // namespace
}  // namespace berth::sys

#include "image/layer/dir_chain.hpp"

#include "image/layer/layer_fixture.hpp"

namespace berth::image {
namespace {

using namespace fixture;

using DirChainTest = LayerTest;

UnpackOptions quiet() {
  UnpackOptions options;
  options.keep_owner = ::geteuid() == 0;
  return options;
}

TEST_F(DirChainTest, SymlinkedParentsResolveInsideTheLayer) {
  const auto archive = directory("usr/") + directory("usr/bin/") + symlink("bin", "usr/bin") + file("bin/a") +
                       symlink("abs", "/usr") + file("abs/bin/b") + symlink("usr/up", "../../../../..") +
                       file("usr/up/c") + end();
  ASSERT_TRUE(unpack(archive, quiet()).has_value());
  EXPECT_TRUE(there("usr/bin/a"));
  EXPECT_TRUE(there("usr/bin/b"));
  EXPECT_TRUE(there("c"));
  EXPECT_TRUE(S_ISLNK(info("bin").st_mode));
}

TEST_F(DirChainTest, SymlinkOutOfTheLayerStaysInside) {
  const auto archive = symlink("evil", scratch_) + file("evil/canary", "gone") + symlink("dots", "../../..") +
                       file("dots/tmp/escaped", "x") + end();
  ASSERT_TRUE(unpack(archive, quiet()).has_value());
  EXPECT_EQ(content(scratch_.substr(1) + "/canary"), "gone");
  EXPECT_TRUE(there("tmp/escaped"));
}

TEST_F(DirChainTest, SwappedDirectoryIsFollowedAsItIsNow) {
  const auto archive = directory("d/") + file("d/x") + symlink("d", "e") + file("d/y") + end();
  ASSERT_TRUE(unpack(archive, quiet()).has_value());
  EXPECT_FALSE(there("e/x"));
  EXPECT_TRUE(there("e/y"));
}

TEST_F(DirChainTest, SymlinkOfAParentLayerIsResolvedToo) {
  ASSERT_TRUE(unpack(entry({"usr/", '5', "", "", 0711}) + directory("usr/lib/", 0750) +
                         symlink("lib", "usr/lib") + end(),
                     quiet())
                  .has_value());
  UnpackOptions options = quiet();
  options.parents = *open_parents({layer()});
  ASSERT_TRUE(unpack(file("lib/new.so") + end(), options).has_value());
  EXPECT_FALSE(there("lib")) << "a directory here would hide the parent's symlink";
  EXPECT_TRUE(there("usr/lib/new.so"));
  EXPECT_EQ(info("usr").st_mode & 07777, 0711U) << "implied directories look as the parent has them";
  EXPECT_EQ(info("usr/lib").st_mode & 07777, 0750U);
}

TEST_F(DirChainTest, ParentsAreSeenThroughWhiteoutsAndOpaqueDirectories) {
  if (::geteuid() != 0) GTEST_SKIP() << "whiteouts of this kind need root";
  ASSERT_TRUE(
      unpack(directory("a/", 0700) + directory("b/", 0700) + directory("b/in/", 0700) + end()).has_value());
  const std::string bottom = layer();
  ASSERT_TRUE(unpack(file(".wh.a") + directory("b/", 0711) + file("b/.wh..wh..opq") + end()).has_value());
  UnpackOptions options;
  options.parents = *open_parents({layer(), bottom});
  ASSERT_TRUE(unpack(file("a/x") + file("b/in/x") + end(), options).has_value());
  EXPECT_EQ(info("a").st_mode & 07777, 0755U);
  EXPECT_EQ(info("b").st_mode & 07777, 0711U);
  EXPECT_EQ(info("b/in").st_mode & 07777, 0755U);
}

TEST_F(DirChainTest, RefusesFilesAndCirclesOnThePath) {
  EXPECT_EQ(error_of(file("f") + file("f/x") + end(), quiet()).code, Code::InvalidArgument);
  EXPECT_EQ(error_of(symlink("a", "b") + symlink("b", "a") + file("a/x") + end(), quiet()).code,
            Code::InvalidArgument);
  ASSERT_TRUE(unpack(file("f") + end(), quiet()).has_value());
  UnpackOptions options = quiet();
  options.parents = *open_parents({layer()});
  EXPECT_EQ(error_of(file("f/x") + end(), options).code, Code::InvalidArgument);
}

TEST_F(DirChainTest, DepthIsBounded) {
  std::string path;
  for (std::size_t i = 0; i < DirChain::kMaxDepth; ++i) path += "d/";
  ASSERT_TRUE(unpack(pax({{"path", path + "f"}}) + file("x") + end(), quiet()).has_value());
  EXPECT_EQ(error_of(pax({{"path", path + "d/f"}}) + file("x") + end(), quiet()).code, Code::InvalidArgument);
}

}  // namespace
}  // namespace berth::image

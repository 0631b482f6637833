#include "image/layer/extractor.hpp"

#include <sys/sysmacros.h>

#include "image/layer/layer_fixture.hpp"

namespace berth::image {
namespace {

using namespace fixture;

class ExtractorTest : public LayerTest {
 protected:
  void SetUp() override {
    LayerTest::SetUp();
    if (::geteuid() != 0) GTEST_SKIP() << "owners and device nodes need root";
  }
};

TEST_F(ExtractorTest, KeepsOwnerModeAndTime) {
  ASSERT_TRUE(unpack(entry({"f", '0', "x", "", 06755, 1234, 070000, 42}) + end()).has_value());
  const struct stat f = info("f");
  EXPECT_EQ(f.st_mode & 07777, 06755U);
  EXPECT_EQ(f.st_uid, 1234U);
  EXPECT_EQ(f.st_gid, 070000U);
  EXPECT_EQ(f.st_mtim.tv_sec, 42);
}

TEST_F(ExtractorTest, TimesKeepNanosecondsAlsoBefore1970) {
  const auto archive = pax({{"mtime", "1700000000.123456789"}}) + file("new") +
                       pax({{"mtime", "-86400.25"}}) + file("old") + end();
  ASSERT_TRUE(unpack(archive).has_value());
  EXPECT_EQ(info("new").st_mtim.tv_nsec, 123456789);
  EXPECT_EQ(info("old").st_mtim.tv_sec, -86401);
  EXPECT_EQ(info("old").st_mtim.tv_nsec, 750000000);
}

TEST_F(ExtractorTest, DirectoryTimesSurviveWhatIsPutIntoThem) {
  const auto archive = entry({"d/", '5', "", "", 0555, 0, 0, 7}) +
                       entry({"d/e/", '5', "", "", 0700, 0, 0, 8}) + file("d/e/f") + file("other/x") +
                       file("d/late") + end();
  ASSERT_TRUE(unpack(archive).has_value());
  EXPECT_EQ(info("d").st_mtim.tv_sec, 7);
  EXPECT_EQ(info("d").st_mode & 07777, 0555U);
  EXPECT_EQ(info("d/e").st_mtim.tv_sec, 8);
}

TEST_F(ExtractorTest, RootEntryDescribesTheLayersRoot) {
  ASSERT_TRUE(unpack(entry({"./", '5', "", "", 01777, 5, 6, 9}) + file("./f") + end()).has_value());
  const struct stat root = info("");
  EXPECT_EQ(root.st_mode & 07777, 01777U);
  EXPECT_EQ(root.st_uid, 5U);
  EXPECT_EQ(root.st_mtim.tv_sec, 9);
}

TEST_F(ExtractorTest, HardLinkEntryNeverChangesTheInode) {
  ASSERT_TRUE(unpack(entry({"a", '0', "x", "", 04755, 3}) + hard_link("b", "a", 0600) + end()).has_value());
  EXPECT_EQ(info("a").st_ino, info("b").st_ino);
  EXPECT_EQ(info("a").st_mode & 07777, 04755U);
  EXPECT_EQ(info("a").st_uid, 3U);
}

TEST_F(ExtractorTest, HardLinkMayNameASymlinkOrItself) {
  const auto archive = symlink("s", "nowhere") + hard_link("t", "s") + file("f", "x") + hard_link("f", "f") +
                       hard_link("./g", "/f") + end();
  ASSERT_TRUE(unpack(archive).has_value());
  EXPECT_EQ(info("s").st_ino, info("t").st_ino);
  EXPECT_TRUE(S_ISLNK(info("t").st_mode));
  EXPECT_EQ(content("f"), "x");
  EXPECT_EQ(info("g").st_nlink, 2U);
}

TEST_F(ExtractorTest, HardLinkIntoAParentIsCopiedUp) {
  ASSERT_TRUE(
      unpack(entry({"bin/", '5', "", "", 0711, 9}) + entry({"bin/tool", '0', "code", "", 04711, 8}) + end()));
  UnpackOptions options;
  options.parents = *open_parents({layer()});
  ASSERT_TRUE(unpack(hard_link("sbin/tool", "bin/tool") + end(), options).has_value());
  EXPECT_EQ(info("sbin/tool").st_ino, info("bin/tool").st_ino);
  EXPECT_EQ(content("sbin/tool"), "code");
  EXPECT_EQ(info("sbin/tool").st_mode & 07777, 04711U);
  EXPECT_EQ(info("bin").st_mode & 07777, 0711U);
  EXPECT_EQ(info("bin").st_uid, 9U);
}

TEST_F(ExtractorTest, HardLinkToNothingIsAnErrorThatNamesBoth) {
  const Error error = error_of(hard_link("here", "no/where") + end());
  EXPECT_EQ(error.code, Code::InvalidArgument);
  EXPECT_NE(error.message.find("\"here\""), std::string::npos) << error.message;
  EXPECT_NE(error.message.find("\"no/where\""), std::string::npos) << error.message;
}

TEST_F(ExtractorTest, WhiteoutsBecomeOverlays) {
  ASSERT_TRUE(unpack(file("d/.wh.gone") + file("o/.wh..wh..opq") + file("o/kept") + end()).has_value());
  EXPECT_TRUE(is_whiteout("d/gone"));
  EXPECT_FALSE(there("d/.wh.gone"));
  EXPECT_TRUE(is_opaque("o"));
  EXPECT_FALSE(is_opaque("d"));
  EXPECT_TRUE(there("o/kept"));
}

TEST_F(ExtractorTest, WhiteoutNeverHidesItsOwnLayerInEitherOrder) {
  const std::string before = file(".wh.f") + file("f", "new") + file(".wh.d") + file("d/x", "new");
  const std::string after = file("f", "new") + file(".wh.f") + file("d/x", "new") + file(".wh.d");
  for (const std::string& archive : {before, after}) {
    ASSERT_TRUE(unpack(archive + end()).has_value());
    EXPECT_EQ(content("f"), "new");
    EXPECT_EQ(content("d/x"), "new");
    EXPECT_TRUE(is_opaque("d")) << "the lower directory would shine through";
  }
}

TEST_F(ExtractorTest, ReservedNamesAreIgnoredAndBadWhiteoutsRefused) {
  ASSERT_TRUE(unpack(file(".wh..wh.aufs") + file(".wh..wh.plnk/1.2") + end()).has_value());
  EXPECT_TRUE(sys::list_names(sys::open(layer(), O_RDONLY)->get())->empty());
  for (const char* name : {".wh.", ".wh..", ".wh...", "d/.wh...", ".wh.x/y"}) {
    EXPECT_EQ(error_of(file(name) + end()).code, Code::InvalidArgument) << name;
  }
}

TEST_F(ExtractorTest, TheLastOfSeveralEntriesWins) {
  const auto archive = file("a", "1") + file("a", "22") + directory("b") + file("b/in") + file("b", "file") +
                       file("c") + directory("c/") + file("c/in") + symlink("d", "a") +
                       file("d", "not through the link") + end();
  ASSERT_TRUE(unpack(archive).has_value());
  EXPECT_EQ(content("a"), "22");
  EXPECT_EQ(content("b"), "file");
  EXPECT_TRUE(there("c/in"));
  EXPECT_EQ(content("d"), "not through the link");
  EXPECT_FALSE(S_ISLNK(info("d").st_mode));
}

TEST_F(ExtractorTest, ReplacingAFileLeavesItsOtherNamesAlone) {
  ASSERT_TRUE(unpack(file("a", "old") + hard_link("b", "a") + file("a", "new") + end()).has_value());
  EXPECT_EQ(content("b"), "old");
  EXPECT_EQ(content("a"), "new");
}

TEST_F(ExtractorTest, DeviceNodesAndFifos) {
  const auto archive = entry({"null", '3', "", "", 0666, 0, 0, 1, 1, 3}) +
                       entry({"disk", '4', "", "", 0660, 0, 6, 1, 259, 300000}) + entry({"pipe", '6'}) +
                       end();
  ASSERT_TRUE(unpack(archive).has_value());
  EXPECT_EQ(info("null").st_rdev, ::makedev(1, 3));
  EXPECT_EQ(info("null").st_mode, S_IFCHR | 0666U);
  EXPECT_EQ(info("disk").st_rdev, ::makedev(259, 300000));
  EXPECT_TRUE(S_ISFIFO(info("pipe").st_mode));
}

TEST_F(ExtractorTest, CapabilitiesSurviveTheOwner) {
  const std::string capability(
      "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  const auto archive =
      pax({{"SCHILY.xattr.security.capability", capability}, {"SCHILY.xattr.user.empty", ""}}) +
      entry({"ping", '0', "x", "", 0755, 1000, 1000}) + end();
  ASSERT_TRUE(unpack(archive).has_value());
  const sys::Fd ping = *sys::open(at("ping"), O_RDONLY);
  EXPECT_EQ(sys::get_xattr(ping.get(), "security.capability")->value_or("none"), capability);
  EXPECT_EQ(sys::get_xattr(ping.get(), "user.empty")->value_or("none"), "");
}

TEST_F(ExtractorTest, OverlayAttributesOfAnArchiveAreIgnored) {
  const auto archive = pax({{"SCHILY.xattr.trusted.overlay.opaque", "y"},
                            {"SCHILY.xattr.user.overlay.opaque", "y"},
                            {"SCHILY.xattr.trusted.overlay.redirect", "/etc"},
                            {"SCHILY.xattr.user.kept", "v"}}) +
                       directory("d/") + end();
  ASSERT_TRUE(unpack(archive).has_value());
  const sys::Fd d = *sys::open(at("d"), O_RDONLY);
  EXPECT_EQ(*sys::read_xattrs(d.get()), (std::vector<sys::Xattr>{{"user.kept", "v"}}));
}

TEST_F(ExtractorTest, CountsEntriesAndDiskBytes) {
  const auto layer = unpack(directory("d/") + file("d/f", std::string(10000, 'x')) + end());
  ASSERT_TRUE(layer.has_value());
  EXPECT_EQ(layer->entries, 2U);
  EXPECT_GE(layer->size_bytes, 10000U);
  EXPECT_LE(layer->size_bytes, 3 * 8192U);
}

}  // namespace
}  // namespace berth::image

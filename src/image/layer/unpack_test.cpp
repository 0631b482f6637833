// The whole of unpack_layer on archives that lie, overflow or end early, and on names and files of odd shape.
#include <unistd.h>

#include "image/layer/layer_fixture.hpp"

namespace berth::image {
namespace {

using namespace fixture;

class UnpackTest : public LayerTest {
 protected:
  UnpackTest() { options_.keep_owner = ::geteuid() == 0; }
  UnpackOptions options_;
};

TEST_F(UnpackTest, DiffIdCoversEveryByteOfTheArchive) {
  const std::string archive = file("f", "x") + end() + std::string(9000, '\0') + "what follows the end";
  const auto layer = unpack(archive, options_);
  ASSERT_TRUE(layer.has_value());
  EXPECT_EQ(layer->diff_id, digest_of(archive));
}

TEST_F(UnpackTest, DotDotIsRefusedWhereverItStands) {
  for (const char* name : {"..", "../x", "a/../../x", "a/..", "/../x", "./../x"}) {
    const Error error = error_of(file(name, "x") + end(), options_);
    EXPECT_EQ(error.code, Code::InvalidArgument);
    EXPECT_NE(error.message.find(name), std::string::npos) << error.message;
  }
  EXPECT_EQ(error_of(file("f") + hard_link("x", "../canary") + end(), options_).code, Code::InvalidArgument);
  EXPECT_EQ(error_of(hard_link("x", scratch_ + "/canary") + end(), options_).code, Code::InvalidArgument);
}

TEST_F(UnpackTest, AbsoluteAndUntidyNamesAreBelowTheRoot) {
  ASSERT_TRUE(unpack(file("/etc/a") + file("./etc//./b") + file("///c") + end(), options_).has_value());
  EXPECT_TRUE(there("etc/a") && there("etc/b") && there("c"));
}

TEST_F(UnpackTest, NamesAreKeptByteForByte) {
  const std::string decomposed = "e\xcc\x81", composed = "\xc3\xa9", invalid = "\xff\xfe\x80",
                    odd = "a\nb\\\"*";
  std::string archive;
  for (const std::string& name : {decomposed, composed, invalid, odd}) {
    archive += file("ustar-" + name) + pax({{"path", "pax-" + name}}) + file("x");
    archive += pax({{"linkpath", name}}) + symlink("link-" + name, "x");
  }
  ASSERT_TRUE(unpack(archive + end(), options_).has_value());
  EXPECT_EQ(sys::list_names(sys::open(layer(), O_RDONLY)->get())->size(), 12U);
  for (const std::string& name : {decomposed, composed, invalid, odd}) {
    EXPECT_TRUE(there("ustar-" + name) && there("pax-" + name)) << name;
    EXPECT_EQ(*sys::read_link(at("link-" + name)), name);
  }
}

TEST_F(UnpackTest, LongNamesInGnuAndPaxForm) {
  const std::string longest(255, 'n');
  const std::string path = std::string(200, 'd') + "/" + longest;
  const auto gnu = entry({"././@LongLink", 'L', path + '\0'}) + file("short", "gnu");
  ASSERT_TRUE(
      unpack(gnu + pax({{"path", "p/" + path}}) + file("short", "pax") + end(), options_).has_value());
  EXPECT_EQ(content(path), "gnu");
  EXPECT_EQ(content("p/" + path), "pax");
  const Error error = error_of(pax({{"path", longest + "n"}}) + file("x") + end(), options_);
  EXPECT_EQ(error.code, Code::InvalidArgument);
  EXPECT_NE(error.message.find("255"), std::string::npos) << error.message;
}

TEST_F(UnpackTest, LargeIdsInBase256AndPaxForm) {
  if (::geteuid() != 0) GTEST_SKIP() << "owners need root";
  std::string base256 = entry({"base256"});
  base256.replace(108, 8, std::string("\x80\x00\x00\x00\x12\x34\x56\x78", 8));
  std::string block = base256.substr(0, 512);
  put_checksum(block);
  ASSERT_TRUE(unpack(block + pax({{"uid", "4000000000"}}) + file("pax") + end()).has_value());
  EXPECT_EQ(info("base256").st_uid, 0x12345678U);
  EXPECT_EQ(info("pax").st_uid, 4000000000U);
  EXPECT_EQ(error_of(pax({{"uid", "4294967295"}}) + file("pax") + end()).code, Code::InvalidArgument);
}

TEST_F(UnpackTest, SparseFilesStaySparse) {
  const std::string data(4096, 'x');
  const std::uint64_t size = std::uint64_t{64} << 20;
  const auto pax01 = pax({{"GNU.sparse.major", "0"},
                          {"GNU.sparse.minor", "1"},
                          {"GNU.sparse.name", "s01"},
                          {"GNU.sparse.size", std::to_string(size)},
                          {"GNU.sparse.numblocks", "2"},
                          {"GNU.sparse.map", "1048576,4096,67108864,0"}}) +
                     file("x", data);
  const auto pax10 = pax({{"GNU.sparse.major", "1"},
                          {"GNU.sparse.minor", "0"},
                          {"GNU.sparse.name", "s10"},
                          {"GNU.sparse.realsize", std::to_string(size)}}) +
                     file("x", padded("2\n1048576\n4096\n67108864\n0\n") + data);
  ASSERT_TRUE(unpack(pax01 + pax10 + end(), options_).has_value());
  for (const char* name : {"s01", "s10"}) {
    const struct stat found = info(name);
    EXPECT_EQ(static_cast<std::uint64_t>(found.st_size), size);
    EXPECT_LE(found.st_blocks * 512, 65536);
    const sys::Fd opened = *sys::open(at(name), O_RDONLY);
    std::string read(8192, '?');
    ASSERT_EQ(::pread(opened.get(), read.data(), read.size(), 1048576 - 2048), 8192);
    EXPECT_EQ(read, std::string(2048, '\0') + data + std::string(2048, '\0'));
  }
}

TEST_F(UnpackTest, AShortenedArchiveIsDataLoss) {
  const std::string archive = file("a", std::string(5000, 'x')) + file("b", "y") + end();
  for (const std::size_t kept : {std::size_t{100}, std::size_t{512}, std::size_t{600}, std::size_t{5600}}) {
    EXPECT_EQ(error_of(archive.substr(0, kept), options_).code, Code::DataLoss) << kept;
  }
  EXPECT_EQ(error_of("", options_).code, Code::DataLoss);
  EXPECT_EQ(error_of(std::string(4096, 'z'), options_).code, Code::DataLoss);
}

TEST_F(UnpackTest, ADamagedHeaderIsDataLoss) {
  std::string archive = file("a", "x") + file("b", "y") + end();
  archive[1024 + 10] = '!';
  EXPECT_EQ(error_of(archive, options_).code, Code::DataLoss);
}

TEST_F(UnpackTest, LimitsHold) {
  UnpackOptions options = options_;
  options.limits.max_bytes = 1000;
  EXPECT_TRUE(unpack(file("a", std::string(600, 'x')) + file("b", std::string(400, 'x')) + end(), options)
                  .has_value());
  Error error =
      error_of(file("a", std::string(600, 'x')) + file("b", std::string(401, 'x')) + end(), options);
  EXPECT_EQ(error.code, Code::ResourceExhausted);
  EXPECT_NE(error.message.find("\"b\""), std::string::npos) << error.message;
  EXPECT_FALSE(there("b"));
  // What the header claims counts, before anything is written.
  error = error_of(entry({"huge", '0', "", "", 0644, 0, 0, 0, 0, 0, 0777777777777}) + end(), options);
  EXPECT_EQ(error.code, Code::ResourceExhausted);
  EXPECT_FALSE(there("huge"));

  options = options_;
  options.limits.max_entries = 2;
  EXPECT_EQ(error_of(file("a") + file("b") + file("c") + end(), options).code, Code::ResourceExhausted);
  options = options_;
  options.limits.max_path_bytes = 10;
  EXPECT_EQ(error_of(file("0123456789a") + end(), options).code, Code::ResourceExhausted);
  options = options_;
  options.limits.max_xattr_bytes = 100;
  const auto attribute = pax({{"SCHILY.xattr.user.a", std::string(100, 'v')}});
  EXPECT_EQ(error_of(attribute + file("a") + end(), options).code, Code::ResourceExhausted);
}

TEST_F(UnpackTest, HeadersOfOneEntryAreBounded) {
  // GNU's old sparse format: a chain of map blocks, as long as one likes.
  std::string header = entry({"sparse", 'S', "", "", 0644, 0, 0, 0, 0, 0, 0}).substr(0, 512);
  put_octal(header, 386, 12, 0);
  put_octal(header, 398, 12, 0);
  header[482] = 1;  // a map block follows
  put_octal(header, 483, 12, 1 << 30);
  header.replace(257, 8, std::string("ustar  \0", 8));
  put_checksum(header);
  std::string more(512, '\0');
  for (std::size_t i = 0; i < 21; ++i) {
    put_octal(more, i * 24, 12, i);
    put_octal(more, i * 24 + 12, 12, 0);
  }
  more[504] = 1;  // and another
  std::string archive = header;
  for (int i = 0; i < 20000; ++i) archive += more;
  const Error error = error_of(archive, options_);
  EXPECT_NE(error.message.find("headers of one entry"), std::string::npos) << error.message;
}

TEST_F(UnpackTest, WhatFollowsTheArchiveIsBounded) {
  const Error error = error_of(file("a") + end() + std::string(std::size_t{65} << 20, '\0'), options_);
  EXPECT_EQ(error.code, Code::ResourceExhausted);
}

TEST_F(UnpackTest, TheRootAndEmptyNamesAreNoFiles) {
  EXPECT_EQ(error_of(file(".") + end(), options_).code, Code::InvalidArgument);
  EXPECT_EQ(error_of(symlink(".", "x") + end(), options_).code, Code::InvalidArgument);
  EXPECT_EQ(error_of(hard_link("x", ".") + end(), options_).code, Code::InvalidArgument);
  EXPECT_EQ(error_of(directory("d/") + hard_link("x", "d") + end(), options_).code, Code::InvalidArgument);
}

TEST_F(UnpackTest, AnEmptyLayerIsALayer) {
  const auto layer = unpack(end(), options_);
  ASSERT_TRUE(layer.has_value()) << layer.error().message;
  EXPECT_EQ(layer->entries, 0U);
  EXPECT_EQ(info("").st_mode & 07777, 0755U);
}

TEST_F(UnpackTest, UserAttributesMarkTheLayersOfRootlessStores) {
  UnpackOptions options = options_;
  options.user_xattrs = true;
  ASSERT_TRUE(unpack(file("o/.wh..wh..opq") + end(), options).has_value());
  const sys::Fd o = *sys::open(at("o"), O_RDONLY);
  EXPECT_EQ(sys::get_xattr(o.get(), "user.overlay.opaque")->value_or(""), "y");
}

TEST_F(UnpackTest, ProgressReachesTheBlobsSize) {
  const std::string archive = file("f", std::string(1 << 20, 'x')) + end();
  std::uint64_t last = 0;
  UnpackOptions options = options_;
  options.progress = [&last](std::uint64_t bytes) { last = bytes; };
  ASSERT_TRUE(unpack(archive, options).has_value());
  EXPECT_EQ(last, archive.size());
}

}  // namespace
}  // namespace berth::image

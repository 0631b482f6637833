#include "image/model/digest.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace berth::image {
namespace {

TEST(Digest, AcceptsOnlyTheCanonicalForm) {
  const std::string hex(64, 'a');
  const auto digest = Digest::parse("sha256:" + hex);
  ASSERT_TRUE(digest.has_value());
  EXPECT_EQ(digest->algorithm(), "sha256");
  EXPECT_EQ(digest->hex(), hex);
  EXPECT_EQ(digest->short_id(), "aaaaaaaaaaaa");
  EXPECT_TRUE(Digest::parse("sha512:" + hex + hex).has_value());
  for (const std::string& bad :
       std::vector<std::string>{"", hex, "sha256:", "sha256:" + hex + "a", "SHA256:" + hex,
                                "sha256:" + std::string(64, 'A'), "sha512:" + hex, "md5:" + hex,
                                "sha256:../" + std::string(61, 'a'), "sha256::" + std::string(63, 'a')}) {
    EXPECT_FALSE(Digest::parse(bad).has_value()) << bad;
  }
}

// FIPS 180-4's example messages.
TEST(Hasher, ComputesThePublishedValues) {
  EXPECT_EQ(digest_of("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_of("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Hasher parts("sha512");
  parts.update("a");
  parts.update("");
  parts.update("bc");
  EXPECT_EQ(parts.finish().text(),
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

}  // namespace
}  // namespace berth::image

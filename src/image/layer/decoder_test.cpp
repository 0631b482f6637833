#include "image/layer/decoder.hpp"

#include <random>

#include "image/layer/layer_fixture.hpp"

namespace berth::image {
namespace {

using fixture::LayerTest;

std::string noise(std::size_t size) {
  std::mt19937 random(7);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random() % 16);
  return bytes;
}

class DecoderTest : public LayerTest, public testing::WithParamInterface<Compression> {
 protected:
  std::string compressed(std::string_view bytes, Compression compression) {
    const std::string path = scratch_ + "/compressed";
    const sys::Fd out = *sys::open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    const auto encoder = Encoder::make(out.get(), compression);
    EXPECT_TRUE(encoder->write(bytes).has_value());
    EXPECT_TRUE(encoder->finish().has_value());
    return *sys::read_file(path);
  }

  Result<std::string> decoded(std::string_view blob, std::size_t step = 10000) {
    const sys::Fd file(::memfd_create("blob", MFD_CLOEXEC));
    TRY(sys::write_all(file.get(), blob));
    ::lseek(file.get(), 0, SEEK_SET);
    const auto decoder = TRY(open_decoder(file.get(), nullptr));
    std::string all;
    std::vector<char> buffer(step);
    for (;;) {
      const std::size_t count = TRY(decoder->read(buffer));
      if (count == 0) return all;
      all.append(buffer.data(), count);
    }
  }
};

TEST_P(DecoderTest, GivesBackWhatWasEncoded) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, std::size_t{3} << 20}) {
    const std::string bytes = noise(size);
    const std::string blob = compressed(bytes, GetParam());
    EXPECT_EQ(*decoded(blob), bytes);
    EXPECT_EQ(*decoded(blob, 333), bytes);
  }
}

TEST_P(DecoderTest, ReadsMembersOneAfterTheOther) {
  const std::string blob =
      compressed("first ", GetParam()) + compressed("", GetParam()) + compressed("second", GetParam());
  EXPECT_EQ(*decoded(blob), "first second");
  EXPECT_EQ(*decoded(blob, 1), "first second");
}

TEST_P(DecoderTest, ADamagedOrShortenedBlobIsDataLoss) {
  if (GetParam() == Compression::None) return;  // has nothing to check itself by
  const std::string bytes = noise(100000);
  const std::string blob = compressed(bytes, GetParam());
  for (const std::size_t kept : {blob.size() - 1, blob.size() - 4, blob.size() / 2, std::size_t{12}}) {
    const auto result = decoded(std::string_view(blob).substr(0, kept));
    ASSERT_FALSE(result.has_value()) << kept;
    EXPECT_EQ(result.error().code, Code::DataLoss);
  }
  for (const std::size_t flipped : {blob.size() / 2, blob.size() - 2}) {
    std::string damaged = blob;
    damaged[flipped] = static_cast<char>(damaged[flipped] ^ 0x55);
    EXPECT_FALSE(decoded(damaged).has_value()) << flipped;
  }
}

INSTANTIATE_TEST_SUITE_P(All, DecoderTest,
                         testing::Values(Compression::None, Compression::Gzip, Compression::Zstd));

TEST_F(DecoderTest, GzipMayBePaddedWithZerosButNotFollowedByGarbage) {
  const std::string blob = compressed("content", Compression::Gzip);
  EXPECT_EQ(*decoded(blob + std::string(5000, '\0')), "content");
  EXPECT_EQ(decoded(blob + "garbage").error().code, Code::DataLoss);
}

}  // namespace
}  // namespace berth::image

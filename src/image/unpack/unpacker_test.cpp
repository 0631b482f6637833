// Layers of one image at the same time: that they really overlap, that they wait where they must, and that
// one that fails ends the others. The order of events is forced by when blobs arrive, never by timing.
#include "image/unpack/unpacker.hpp"

#include <fmt/core.h>
#include <sys/stat.h>

#include <thread>

#include "image/layer/handmade_tar.hpp"
#include "image/store/testing.hpp"
#include "sys/entry.hpp"

namespace berth::image {
namespace {

using namespace fixture;
using namespace std::chrono_literals;

constexpr auto kLongest = 60s;  // until a test gives up; nothing here takes a second

class UnpackerTest : public testing::StoreTest {
 protected:
  // An image's layers, whose blobs are in the store.
  std::vector<Unpacker::Layer> layers_of(Store& store, const std::vector<std::string>& archives) {
    const Descriptor descriptor = make_image(store, "localhost/test:1", archives);
    const Manifest manifest = *Manifest::parse(*store.read_blob(descriptor.digest));
    return Unpacker::layers_of(manifest, *ImageConfig::parse(*store.read_blob(manifest.config.digest)));
  }

  static bool comes(Store& store, const Unpacker::Layer& layer) {
    const auto end = std::chrono::steady_clock::now() + kLongest;
    while (!*store.find_layer(layer.record.chain_id)) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(1ms);
    }
    return true;
  }

  std::string path(const Store& store, const Unpacker::Layer& layer, const std::string& name) {
    return store.layer_dir(layer.record.chain_id) + "/" + name;
  }

  term::Progress progress_{term::Progress::Mode::Quiet, -1, 80};
};

std::string whole(const std::string& entries) { return directory("./") + entries + end(); }

TEST_F(UnpackerTest, AnUpperLayerIsThereBeforeTheLowerOnesBlobHasCome) {
  Store store = open();
  const auto layers = layers_of(store, {whole(file("below")), whole(file("above"))});
  auto unpacker = *Unpacker::start(store, layers, progress_, 2);
  ASSERT_TRUE(unpacker->fetched(1).has_value());
  ASSERT_TRUE(comes(store, layers[1])) << "the upper layer waited for the lower one";
  EXPECT_FALSE(store.find_layer(layers[0].record.chain_id)->has_value());
  ASSERT_TRUE(unpacker->fetched(0).has_value());
  ASSERT_TRUE(unpacker->finish().has_value());
  EXPECT_TRUE(sys::exists(path(store, layers[0], "below")));
}

TEST_F(UnpackerTest, AnEntryThatNeedsALowerLayerWaitsForIt) {
  Store store = open();
  const auto layers = layers_of(store, {whole(entry({"bin/", '5', "", "", 0711}) + file("bin/tool", "code")),
                                        whole(hard_link("bin/alias", "bin/tool")), whole(file("free"))});
  auto unpacker = *Unpacker::start(store, layers, progress_, 3);
  ASSERT_TRUE(unpacker->fetched(1).has_value());
  ASSERT_TRUE(unpacker->fetched(2).has_value());
  ASSERT_TRUE(comes(store, layers[2]));
  EXPECT_FALSE(store.find_layer(layers[1].record.chain_id)->has_value());
  ASSERT_TRUE(unpacker->fetched(0).has_value());
  ASSERT_TRUE(unpacker->finish().has_value());
  EXPECT_EQ(*sys::read_file(path(store, layers[1], "bin/alias")), "code");
  EXPECT_EQ(sys::stat(path(store, layers[1], "bin"))->st_mode & 07777, 0711U);
}

TEST_F(UnpackerTest, ALongChainOfLayersThatNeedEachOtherEnds) {
  Store store = open();
  std::vector<std::string> archives{file("f0", "x") + end()};
  for (int i = 1; i < 40; ++i) {
    archives.push_back(hard_link(fmt::format("f{}", i), fmt::format("f{}", i - 1)) + end());
  }
  const auto layers = layers_of(store, archives);
  auto unpacker = *Unpacker::start(store, layers, progress_, 4);
  for (std::size_t i = layers.size(); i > 0; --i) ASSERT_TRUE(unpacker->fetched(i - 1).has_value());
  const auto finished = unpacker->finish();
  ASSERT_TRUE(finished.has_value()) << finished.error().message;
  EXPECT_EQ(*sys::read_file(path(store, layers[39], "f39")), "x");
}

TEST_F(UnpackerTest, TheResultDoesNotDependOnTheOrderOfArrival) {
  Store store = open();
  const std::vector<std::string> archives{whole(entry({"usr/", '5', "", "", 0750}) + symlink("lib", "usr")),
                                          file("lib/a", "1") + end(), file("lib/.wh.a") + end(),
                                          hard_link("copy", "lib") + end()};
  const auto layers = layers_of(store, archives);
  auto unpacker = *Unpacker::start(store, layers, progress_, 4);
  for (const std::size_t i : {3U, 2U, 1U, 0U}) ASSERT_TRUE(unpacker->fetched(i).has_value());
  ASSERT_TRUE(unpacker->finish().has_value());
  EXPECT_EQ(*sys::read_file(path(store, layers[1], "usr/a")), "1");
  EXPECT_FALSE(sys::exists(path(store, layers[1], "lib")));
  EXPECT_EQ(sys::stat(path(store, layers[2], "usr"))->st_mode & 07777, 0750U);
  EXPECT_EQ(*sys::read_link(path(store, layers[3], "copy")), "usr");
}

TEST_F(UnpackerTest, OneThatFailsEndsThoseThatWaitAndIsNamed) {
  Store store = open();
  const auto layers =
      layers_of(store, {whole(file("../out")), whole(hard_link("a", "b")), whole(file("never fetched"))});
  auto unpacker = *Unpacker::start(store, layers, progress_, 3);
  static_cast<void>(unpacker->fetched(1));
  static_cast<void>(unpacker->fetched(0));
  const auto finished = unpacker->finish();
  ASSERT_FALSE(finished.has_value());
  EXPECT_EQ(finished.error().code, Code::InvalidArgument);
  EXPECT_NE(finished.error().message.find(layers[0].blob.digest.text()), std::string::npos)
      << finished.error().message;
  EXPECT_EQ(unpacker->fetched(2).error().message, finished.error().message);
  for (const auto& layer : layers) EXPECT_FALSE(store.find_layer(layer.record.chain_id)->has_value());
}

TEST_F(UnpackerTest, GivingUpLeavesNothingBehind) {
  Store store = open();
  const auto layers = layers_of(store, {whole(file("a")), whole(hard_link("b", "a"))});
  {
    auto unpacker = *Unpacker::start(store, layers, progress_, 2);
    ASSERT_TRUE(unpacker->fetched(1).has_value());
  }
  ASSERT_TRUE(store.recover().has_value());
  EXPECT_TRUE(sys::list_names(sys::open(store.root() + "/tmp", O_RDONLY)->get())->empty());
  EXPECT_TRUE(sys::list_names(sys::open(store.root() + "/layers", O_RDONLY)->get())->empty());
}

TEST_F(UnpackerTest, LayersThatAreHereNeedNoBlob) {
  Store store = open();
  const auto layers = layers_of(store, {whole(file("a"))});
  for (int i = 0; i < 2; ++i) {
    auto unpacker = *Unpacker::start(store, layers, progress_, 1);
    if (i == 0) {
      ASSERT_TRUE(unpacker->fetched(0).has_value());
    }
    ASSERT_TRUE(unpacker->finish().has_value());
  }
}

TEST_F(UnpackerTest, AnotherDigestThanTheConfigurationSaysIsDataLoss) {
  Store store = open();
  auto layers = layers_of(store, {whole(file("a"))});
  layers[0].record.diff_id = digest_of("something else");
  auto unpacker = *Unpacker::start(store, layers, progress_, 1);
  static_cast<void>(unpacker->fetched(0));
  EXPECT_EQ(unpacker->finish().error().code, Code::DataLoss);
}

}  // namespace
}  // namespace berth::image

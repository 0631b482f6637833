// For the tests of this room and of those above it: a store in a directory of its own, and images made of
// bytes.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "image/store/store.hpp"

namespace berth::image::testing {

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "berth-store-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    root_ = directory_ + "/root";
  }
  void TearDown() override { ASSERT_TRUE(sys::remove_tree(directory_).has_value()); }

  Store open() const {
    auto store = Store::open(root_);
    EXPECT_TRUE(store.has_value()) << store.error().message;
    return *std::move(store);
  }

  // An image whose layers are these bytes; the diff ids are those of the bytes (plain archives).
  static Descriptor make_image(Store& store, const std::string& name, const std::vector<std::string>& layers,
                               const std::string& command = "true") {
    ImageConfig config;
    config.platform = Platform::host();
    config.cmd = {command};
    Manifest manifest;
    manifest.media_type = media::kOciManifest;
    for (const std::string& layer : layers) {
      manifest.layers.push_back(*store.put_blob(layer, media::kOciLayer));
      config.diff_ids.push_back(digest_of(layer));
    }
    manifest.config = *store.put_blob(config.dump(), media::kOciConfig);
    const Descriptor descriptor = *store.put_blob(manifest.dump(), media::kOciManifest);
    const auto set = store.set_image(*Reference::parse(name), descriptor);
    EXPECT_TRUE(set.has_value()) << set.error().message;
    return descriptor;
  }

  std::string directory_;
  std::string root_;
};

}  // namespace berth::image::testing

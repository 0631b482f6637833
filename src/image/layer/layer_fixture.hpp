// For tests: a scratch directory to unpack archives in, with a canary beside it.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "image/layer/encoder.hpp"
#include "image/layer/handmade_tar.hpp"
#include "image/layer/layer.hpp"
#include "image/layer/overlay.hpp"
#include "sys/entry.hpp"

namespace berth::image::fixture {

class LayerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "berth-layer-XXXXXX";
    scratch_ = ::mkdtemp(pattern.data());
    ASSERT_TRUE(sys::replace_file(scratch_ + "/canary", "untouched").has_value());
  }
  void TearDown() override {
    EXPECT_EQ(*sys::read_file(scratch_ + "/canary"), "untouched");
    EXPECT_TRUE(sys::remove_tree(scratch_).has_value());
  }

  // Unpacks `archive` into a new directory, the last of which is layer().
  Result<UnpackedLayer> unpack(std::string_view archive, const UnpackOptions& options = {}) {
    layer_ = scratch_ + "/layer" + std::to_string(++count_);
    TRY(sys::make_dir(layer_));
    const sys::Fd blob(::memfd_create("blob", MFD_CLOEXEC));
    TRY(sys::write_all(blob.get(), archive));
    ::lseek(blob.get(), 0, SEEK_SET);
    return unpack_layer(blob.get(), layer_, options);
  }
  Error error_of(std::string_view archive, const UnpackOptions& options = {}) {
    auto layer = unpack(archive, options);
    EXPECT_FALSE(layer.has_value()) << "this archive should have been refused";
    return layer ? Error{} : layer.error();
  }

  const std::string& layer() const { return layer_; }
  std::string at(const std::string& path) const { return layer_ + "/" + path; }
  struct stat info(const std::string& path) const {
    const auto found = sys::stat(at(path));
    EXPECT_TRUE(found.has_value()) << path << " is missing";
    return found ? *found : (struct stat){};
  }
  bool there(const std::string& path) const { return sys::stat(at(path)).has_value(); }
  std::string content(const std::string& path) const {
    return sys::read_file(at(path)).value_or("(unreadable)");
  }
  bool is_whiteout(const std::string& path) const {
    const struct stat found = info(path);
    return S_ISCHR(found.st_mode) && found.st_rdev == 0;
  }
  bool is_opaque(const std::string& path) const {
    const auto opened = sys::open(at(path), O_RDONLY | O_DIRECTORY);
    return opened && *OverlayMarks(false).is_opaque(opened->get());
  }

  std::string scratch_;

 private:
  std::string layer_;
  int count_ = 0;
};

}  // namespace berth::image::fixture

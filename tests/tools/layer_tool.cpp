// Unpacks and packs one layer, for the conformance tests and benchmarks that compare berth's trees with its
// peers'.
#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "image/layer/layer.hpp"

namespace {

using berth::Code;
using berth::fail;
using berth::Result;

constexpr const char* kUsage =
    "usage: layer_tool unpack BLOB DIRECTORY [--user-xattrs] [--drop-owner] [PARENT...]\n"
    "       layer_tool pack DIRECTORY BLOB none|gzip|zstd [--plain]\n";

Result<void> unpack(const std::vector<std::string>& words) {
  berth::image::UnpackOptions options;
  std::vector<std::string> parents;
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (words[i] == "--user-xattrs") {
      options.user_xattrs = true;
    } else if (words[i] == "--drop-owner") {
      options.keep_owner = false;
    } else {
      parents.push_back(words[i]);
    }
  }
  options.parents = TRY(berth::image::open_parents(parents));
  const berth::sys::Fd blob = TRY(berth::sys::open(words[0], O_RDONLY));
  TRY(berth::sys::make_dir(words[1]));
  const auto before = std::chrono::steady_clock::now();
  const auto layer = TRY(berth::image::unpack_layer(blob.get(), words[1], options));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - before;
  fmt::print("{} {} {} {:.6f}\n", layer.diff_id.text(), layer.size_bytes, layer.entries, took.count());
  return {};
}

Result<void> pack(const std::vector<std::string>& words) {
  using berth::image::Compression;
  const auto compression = words[2] == "gzip"   ? Compression::Gzip
                           : words[2] == "zstd" ? Compression::Zstd
                                                : Compression::None;
  const bool plain = words.size() > 3 && words[3] == "--plain";
  const berth::sys::Fd out = TRY(berth::sys::open(words[1], O_WRONLY | O_CREAT | O_TRUNC, 0644));
  const auto layer = TRY(berth::image::pack_layer(words[0], out.get(), compression, plain));
  fmt::print("{} {} {}\n", layer.digest.text(), layer.diff_id.text(), layer.size_bytes);
  return {};
}

Result<void> run(const std::vector<std::string>& words) {
  if (words.size() >= 3 && words[0] == "unpack") return unpack({words.begin() + 1, words.end()});
  if (words.size() >= 4 && words[0] == "pack") return pack({words.begin() + 1, words.end()});
  return fail(Code::InvalidArgument, kUsage);
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = run({argv + 1, argv + argc});
  if (!done) fmt::print(stderr, "layer_tool: {}\n", done.error().message);
  return done ? 0 : 1;
}

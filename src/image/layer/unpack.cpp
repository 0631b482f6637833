#include <fmt/core.h>

#include <system_error>
#include <thread>

#include "image/layer/block_pipe.hpp"
#include "image/layer/decoder.hpp"
#include "image/layer/extractor.hpp"
#include "image/layer/layer.hpp"
#include "image/layer/tar_reader.hpp"

namespace berth::image {
namespace {

// tar pads an archive to a whole record, some tools to a whole megabyte. More than this after its end is no
// padding.
constexpr std::uint64_t kMaxTrailingBytes = 64 << 20;

// Fills the pipe with the archive's bytes, all of them, and hashes them on the way.
Result<Digest> decode(int blob, const UnpackOptions& options, BlockPipe& pipe) {
  const auto decoder = TRY(open_decoder(blob, options.progress));
  Hasher hasher;
  for (;;) {
    const std::span<char> block = pipe.acquire();
    if (block.empty() || options.stop.stop_requested()) return fail(Code::Cancelled, "unpacking stopped");
    const std::size_t size = TRY(decoder->read(block));
    if (size == 0) return hasher.finish();
    hasher.update({block.data(), size});
    pipe.commit(size);
  }
}

Result<Digest> decode_into(int blob, const UnpackOptions& options, BlockPipe& pipe) {
  auto diff_id = decode(blob, options, pipe);
  pipe.finish(diff_id ? Result<void>() : Result<void>(fail(diff_id.error())));
  return diff_id;
}

Result<UnpackedLayer> extract_from(BlockPipe& pipe, const std::string& target, const UnpackOptions& options) {
  UnpackedLayer layer;
  TarReader archive = TRY(TarReader::open([&pipe] { return pipe.read(); }));
  TRY(Extractor::run(archive, target, options, layer));
  std::uint64_t trailing = 0;
  for (;;) {
    const std::string_view bytes = TRY(pipe.read());
    if (bytes.empty()) return layer;
    trailing += bytes.size();
    if (trailing > kMaxTrailingBytes) {
      return fail(
          Code::ResourceExhausted,
          fmt::format("more than {} MiB follow the end of the layer's archive", kMaxTrailingBytes >> 20));
    }
  }
}

}  // namespace

// Two threads: this one decompresses and hashes, another reads the archive and writes the files. What they
// hold is the pipe between them (4 MiB), the decoder's window (32 KiB for gzip, up to 128 MiB for zstd, as
// the blob asks), one entry's headers (4 MiB) and the open directories.
Result<UnpackedLayer> unpack_layer(int blob, const std::string& target, const UnpackOptions& options) {
  BlockPipe pipe;
  Result<UnpackedLayer> layer = fail(Code::Internal, "the unpacking thread did not run");
  std::thread extraction;
  try {
    extraction = std::thread([&] {
      layer = extract_from(pipe, target, options);
      pipe.stop();
    });
  } catch (const std::system_error& error) {
    return fail(Code::ResourceExhausted,
                fmt::format("cannot start a thread to unpack a layer: {}", error.what()));
  }
  auto diff_id = decode_into(blob, options, pipe);
  extraction.join();
  if (!layer) return layer;
  layer->diff_id = TRY(std::move(diff_id));
  return layer;
}

}  // namespace berth::image

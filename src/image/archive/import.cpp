#include "image/archive/import.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <array>

#include "base/text.hpp"
#include "image/layer/decoder.hpp"
#include "image/unpack/unpack.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

// Copies the whole of `fd` to `path`; gives the copy's digest and size.
Result<Descriptor> spool(int fd, const std::string& path, term::Progress& progress) {
  const std::size_t task = progress.add("archive", "reading", 0);
  const sys::Fd out = TRY(sys::open(path, O_WRONLY | O_CREAT | O_EXCL, 0600));
  Descriptor descriptor;
  Hasher hasher;
  std::string buffer(kReadBytes, '\0');
  for (;;) {
    const std::string_view bytes(buffer.data(), TRY(sys::read_some(fd, buffer)));
    if (bytes.empty()) break;
    TRY(sys::write_all(out.get(), bytes));
    hasher.update(bytes);
    descriptor.size += bytes.size();
    progress.advance(task, bytes.size());
  }
  progress.finish(task, "read");
  descriptor.digest = hasher.finish();
  return descriptor;
}

Result<std::string_view> layer_type(const std::string& path) {
  const sys::Fd fd = TRY(sys::open(path, O_RDONLY));
  std::array<char, 4> start{};
  const std::string_view bytes(start.data(), TRY(sys::read_some(fd.get(), start)));
  if (bytes.starts_with("\x1f\x8b")) return media::kOciLayerGzip;
  if (bytes == "\x28\xb5\x2f\xfd") return media::kOciLayerZstd;
  return media::kOciLayer;
}

Result<Digest> diff_id_of(const std::string& path) {
  const sys::Fd fd = TRY(sys::open(path, O_RDONLY));
  const auto decoder = TRY(open_decoder(fd.get(), {}));
  Hasher hasher;
  std::string buffer(kReadBytes, '\0');
  for (;;) {
    const std::size_t count = TRY(decoder->read(buffer));
    if (count == 0) return hasher.finish();
    hasher.update(std::string_view(buffer).substr(0, count));
  }
}

Result<ImageRecord> import_under(const Lease& lease, Store& store, int fd, const std::string& origin,
                                 ImportOptions options, term::Progress& progress) {
  const std::string path = TRY(store.make_work_dir(lease)) + "/layer";
  Descriptor layer = TRY(spool(fd, path, progress));
  if (layer.size == 0) return fail(Code::InvalidArgument, "the archive is empty");
  layer.media_type = TRY(layer_type(path));
  ImageConfig& config = options.config;
  config.platform = Platform::host();
  config.created = format_rfc3339(std::chrono::system_clock::now());
  config.diff_ids = {TRY(diff_id_of(path))};
  config.history = {{config.created, fmt::format("berth image import {}", origin), options.message, false}};
  TRY(store.adopt_blob(path, layer));
  Manifest manifest{
      std::string(media::kOciManifest), TRY(store.put_blob(config.dump(), media::kOciConfig)), {layer}, {}};
  const Descriptor descriptor = TRY(store.put_blob(manifest.dump(), media::kOciManifest));
  return store_unpacked(store, options.name, descriptor, progress);
}

}  // namespace

Result<ImageRecord> import_root(Store& store, int fd, const std::string& origin, ImportOptions options,
                                term::Progress& progress) {
  Lease lease = TRY(store.lease());
  auto image = import_under(lease, store, fd, origin, std::move(options), progress);
  if (!image) static_cast<void>(store.abandon(std::move(lease)));
  return image;
}

}  // namespace berth::image

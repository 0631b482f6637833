#include "image/archive/load.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include "image/unpack/unpack.hpp"

namespace berth::image {
namespace {

Result<std::unique_ptr<Source>> open_source(Store& store, const std::string& path, const Lease& lease,
                                            term::Progress& progress) {
  struct stat info {};
  if (!path.empty() && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode))
    return open_directory(store, path);
  const sys::Fd fd = path.empty() ? TRY(sys::duplicate(STDIN_FILENO)) : TRY(sys::open(path, O_RDONLY));
  return open_tar(store, fd.get(), TRY(store.make_work_dir(lease)), progress);
}

Result<std::vector<Found>> read_any(Store& store, Source& source, const LoadOptions& options) {
  // Docker writes both formats into one archive; the layout says more.
  if (TRY(source.has("index.json"))) return read_oci_layout(source, options);
  if (TRY(source.has("manifest.json"))) return read_docker_archive(store, source, options);
  return fail(Code::InvalidArgument,
              "neither an OCI layout (index.json) nor a Docker archive (manifest.json); "
              "for the tar of a root directory, use: berth image import");
}

Result<std::vector<ImageRecord>> load_under(const Lease& lease, Store& store, const std::string& path,
                                            const LoadOptions& options, term::Progress& progress) {
  const auto source = TRY(open_source(store, path, lease, progress));
  std::vector<ImageRecord> images;
  for (const Found& found : TRY(read_any(store, *source, options))) {
    images.push_back(TRY(store_unpacked(store, found.name, found.manifest, progress)));
  }
  return images;
}

}  // namespace

Result<std::vector<ImageRecord>> load_images(Store& store, const std::string& path,
                                             const LoadOptions& options, term::Progress& progress) {
  Lease lease = TRY(store.lease());
  auto images = load_under(lease, store, path, options, progress);
  if (images) return images;
  static_cast<void>(store.abandon(std::move(lease)));  // the refusal is what counts; gc() would come to it
  const std::string what = fmt::format("cannot load {}", path.empty() ? "standard input" : path);
  return fail(std::move(images).error().during(what));
}

}  // namespace berth::image

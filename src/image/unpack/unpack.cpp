#include "image/unpack/unpack.hpp"

#include <fmt/core.h>

#include "image/unpack/unpacker.hpp"

namespace berth::image {

Result<void> ensure_unpacked(Store& store, const ImageRecord& image, term::Progress& progress) {
  const Manifest manifest = TRY(store.manifest_of(image));
  if (TRY(store.layers_of(image)).size() != manifest.layers.size()) {
    return fail(Code::NotFound, fmt::format("image {} has just been removed", image.config.short_id()));
  }
  auto layers = Unpacker::layers_of(manifest, TRY(store.config_of(image)));
  const auto unpacker = TRY(Unpacker::start(store, std::move(layers), progress));
  // Of a blob that is missing, the layer itself complains.
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) TRY(unpacker->fetched(i));
  return unpacker->finish();
}

Result<ImageRecord> store_unpacked(Store& store, const std::optional<Reference>& name,
                                   const Descriptor& manifest, term::Progress& progress) {
  const bool known = TRY(store.find_image(manifest.digest.text())).has_value();
  const ImageRecord record = TRY(store.add_image(std::nullopt, manifest));
  auto unpacked = ensure_unpacked(store, record, progress);
  if (!unpacked) {
    if (!known) static_cast<void>(store.remove_image(manifest.digest));
    return fail(std::move(unpacked).error());
  }
  return name ? store.add_image(name, manifest) : Result<ImageRecord>(record);
}

}  // namespace berth::image

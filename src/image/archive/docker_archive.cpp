// Reading the format of `docker save` (moby: image/spec/v1.2.md, manifest.json): configurations under their
// digests, layers as plain or compressed tars, no manifest. One is made, so that the image can be run, saved
// and pushed like others.
#include <fmt/core.h>

#include <array>

#include "base/json_value.hpp"
#include "image/archive/load.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kMaxImages = 1000;

// Docker's types throughout: the configuration is Docker's, and its digest, the image's id, must not change.
Result<std::string_view> layer_type(Source& source, const std::string& name) {
  const sys::Fd fd = TRY(source.open(name));
  std::array<char, 4> start{};
  const std::string_view bytes(start.data(), TRY(sys::read_some(fd.get(), start)));
  if (bytes.starts_with("\x1f\x8b")) return media::kDockerLayerGzip;  // RFC 1952, 2.3.1
  if (bytes == "\x28\xb5\x2f\xfd") return media::kOciLayerZstd;       // RFC 8878, 3.1.1
  return media::kDockerLayer;
}

struct Entry {
  std::string config;
  std::vector<std::string> names;
  std::vector<std::string> layers;
};

Result<Entry> read_entry(const JsonView& view) {
  return Entry{TRY(view.string("Config")), TRY(view.strings_or_empty("RepoTags")),
               TRY(view.strings_or_empty("Layers"))};
}

Result<Descriptor> make_manifest(Store& store, Source& source, const Entry& entry) {
  Manifest manifest;
  manifest.media_type = media::kDockerManifest;
  manifest.config = TRY(source.describe(entry.config));
  manifest.config.media_type = media::kDockerConfig;
  const ImageConfig config = TRY_DURING(entry.config, ImageConfig::parse(TRY(source.read(entry.config))));
  if (config.diff_ids.size() != entry.layers.size()) {
    return fail(Code::InvalidArgument,
                fmt::format("manifest.json lists {} layers, but {} says {}", entry.layers.size(),
                            entry.config, config.diff_ids.size()));
  }
  if (entry.layers.size() > kMaxLayers) {
    return fail(Code::InvalidArgument, fmt::format("manifest.json: more than {} layers", kMaxLayers));
  }
  TRY(source.take(entry.config, manifest.config));
  for (const std::string& name : entry.layers) {
    Descriptor layer = TRY(source.describe(name));
    layer.media_type = TRY(layer_type(source, name));
    TRY(source.take(name, layer));
    manifest.layers.push_back(std::move(layer));
  }
  return store.put_blob(manifest.dump(), manifest.media_type);
}

Result<void> load_entry(Store& store, Source& source, Entry entry, const LoadOptions& options,
                        std::vector<Found>& images) {
  const Descriptor descriptor = TRY(make_manifest(store, source, entry));
  if (entry.names.empty() && !options.name.empty()) entry.names = {options.name};
  for (const std::string& name : entry.names) {
    const Reference reference = TRY_DURING("manifest.json", Reference::parse(name));
    images.push_back({reference, descriptor});
  }
  if (entry.names.empty()) images.push_back({std::nullopt, descriptor});
  return {};
}

}  // namespace

Result<std::vector<Found>> read_docker_archive(Store& store, Source& source, const LoadOptions& options) {
  const Json parsed = TRY(parse_json(TRY(source.read("manifest.json")), "manifest.json"));
  const auto entries = TRY(JsonView(parsed, "manifest.json").as_array());
  if (entries.empty()) return fail(Code::NotFound, "manifest.json: it lists no image");
  if (entries.size() > kMaxImages) {
    return fail(Code::InvalidArgument, fmt::format("manifest.json: more than {} images", kMaxImages));
  }
  std::vector<Found> images;
  for (const JsonView& entry : entries) {
    TRY(load_entry(store, source, TRY(read_entry(entry)), options, images));
  }
  return images;
}

}  // namespace berth::image

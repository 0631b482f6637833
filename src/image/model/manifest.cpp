// Manifests and indexes (image-spec 1.1, manifest.md, image-index.md, descriptor.md; Docker's schema 2).
#include "image/model/manifest.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "image/model/write_json.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kMaxIndexEntries = 10'000;
constexpr std::uint64_t kMaxBlobBytes = std::uint64_t{1} << 62;

constexpr std::array kLayerTypes = {
    media::kOciLayer,
    media::kOciLayerGzip,
    media::kOciLayerZstd,
    media::kDockerLayer,
    media::kDockerLayerGzip,
    std::string_view("application/vnd.docker.image.rootfs.diff.tar.zstd"),
    std::string_view("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
    std::string_view("application/vnd.oci.image.layer.nondistributable.v1.tar"),
    std::string_view("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"),
    std::string_view("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"),
};

Result<Digest> read_digest(const JsonView& object) {
  const JsonView field = TRY(object.at("digest"));
  return TRY_DURING(field.path(), Digest::parse(TRY(field.as_string())));
}

Result<std::map<std::string, std::string>> read_annotations(const JsonView& object) {
  std::map<std::string, std::string> annotations;
  const auto member = TRY(object.find("annotations"));
  if (!member) return annotations;
  for (const auto& [key, value] : TRY(member->as_object())) annotations[key] = TRY(value.as_string());
  return annotations;
}

Result<std::optional<Platform>> read_platform(const JsonView& object) {
  const auto member = TRY(object.find("platform"));
  if (!member) return std::optional<Platform>{};
  return std::optional<Platform>({TRY(member->string("os")), TRY(member->string("architecture")),
                                  TRY(member->string_or("variant", ""))});
}

Result<Descriptor> read_descriptor(const JsonView& object) {
  Descriptor descriptor;
  descriptor.media_type = TRY(object.string("mediaType"));
  descriptor.digest = TRY(read_digest(object));
  const JsonView size = TRY(object.at("size"));
  descriptor.size = TRY(size.as_uint());
  if (descriptor.size > kMaxBlobBytes) return size.bad("too large");
  descriptor.platform = TRY(read_platform(object));
  descriptor.annotations = TRY(read_annotations(object));
  descriptor.urls = TRY(object.strings_or_empty("urls"));
  return descriptor;
}

Json descriptor_json(const Descriptor& descriptor) {
  Json json{
      {"mediaType", descriptor.media_type}, {"digest", descriptor.digest.text()}, {"size", descriptor.size}};
  if (descriptor.platform) {
    json["platform"] = {{"os", descriptor.platform->os}, {"architecture", descriptor.platform->architecture}};
    if (!descriptor.platform->variant.empty()) json["platform"]["variant"] = descriptor.platform->variant;
  }
  if (!descriptor.annotations.empty()) json["annotations"] = descriptor.annotations;
  if (!descriptor.urls.empty()) json["urls"] = descriptor.urls;
  return json;
}

Result<void> check_schema_version(const JsonView& document) {
  const JsonView version = TRY(document.at("schemaVersion"));
  const std::uint64_t number = TRY(version.as_uint());
  if (number == 1) {
    return version.bad(
        "1 is Docker's old signed format, which berth does not read: push the image again with a "
        "current tool, or copy it with skopeo copy --format oci");
  }
  if (number != 2) return version.bad(fmt::format("expected 2, found {}", number));
  return {};
}

// A document must not be readable as both kinds at once, or two readers of one digest could see different
// images (CVE-2021-41190).
Result<void> refuse_member(const JsonView& document, std::string_view other, std::string_view what) {
  if (document.raw().is_object() && document.raw().contains(other)) {
    return document.bad(fmt::format("{} must not have a member \"{}\"", what, other));
  }
  return {};
}

Result<std::string> read_media_type(const JsonView& document, std::string_view fallback,
                                    bool (*accepted)(std::string_view), std::string_view what) {
  const auto type = TRY(document.find("mediaType"));
  if (!type) return std::string(fallback);
  std::string text = TRY(type->as_string());
  if (!accepted(text)) return type->bad(fmt::format("\"{}\" is not the type of {}", text, what));
  return text;
}

}  // namespace

bool is_manifest(std::string_view media_type) {
  return media_type == media::kOciManifest || media_type == media::kDockerManifest;
}

bool is_index(std::string_view media_type) {
  return media_type == media::kOciIndex || media_type == media::kDockerList;
}

bool is_layer(std::string_view media_type) {
  return std::find(kLayerTypes.begin(), kLayerTypes.end(), media_type) != kLayerTypes.end();
}

Result<Manifest> Manifest::parse(std::string_view json) {
  if (json.size() > kMaxManifestBytes) {
    return fail(Code::ResourceExhausted, fmt::format("manifest: larger than {} bytes", kMaxManifestBytes));
  }
  const Json parsed = TRY(parse_json(json, "manifest"));
  const JsonView document(parsed, "manifest");
  TRY(check_schema_version(document));
  TRY(refuse_member(document, "manifests", "a manifest"));
  Manifest manifest;
  const JsonView config = TRY(document.at("config"));
  manifest.config = TRY(read_descriptor(config));
  const bool docker = manifest.config.media_type == media::kDockerConfig;
  manifest.media_type = TRY(read_media_type(document, docker ? media::kDockerManifest : media::kOciManifest,
                                            is_manifest, "an image manifest"));
  const JsonView layers = TRY(document.at("layers"));
  for (const JsonView& layer : TRY(layers.as_array())) manifest.layers.push_back(TRY(read_descriptor(layer)));
  if (manifest.layers.size() > kMaxLayers) {
    return layers.bad(
        fmt::format("{} layers, at most {} can be mounted", manifest.layers.size(), kMaxLayers));
  }
  manifest.annotations = TRY(read_annotations(document));
  return manifest;
}

std::string Manifest::dump() const {
  Json json{{"schemaVersion", 2}, {"mediaType", media_type}, {"config", descriptor_json(config)}};
  json["layers"] = Json::array();
  for (const Descriptor& layer : layers) json["layers"].push_back(descriptor_json(layer));
  if (!annotations.empty()) json["annotations"] = annotations;
  return write_json(json);
}

Result<Index> Index::parse(std::string_view json) {
  if (json.size() > kMaxManifestBytes) {
    return fail(Code::ResourceExhausted, fmt::format("index: larger than {} bytes", kMaxManifestBytes));
  }
  const Json parsed = TRY(parse_json(json, "index"));
  const JsonView document(parsed, "index");
  TRY(check_schema_version(document));
  TRY(refuse_member(document, "layers", "an index"));
  TRY(refuse_member(document, "config", "an index"));
  Index index;
  index.media_type = TRY(read_media_type(document, media::kOciIndex, is_index, "an image index"));
  const JsonView manifests = TRY(document.at("manifests"));
  if (manifests.raw().size() > kMaxIndexEntries) {
    return manifests.bad(fmt::format("more than {} entries", kMaxIndexEntries));
  }
  for (const JsonView& entry : TRY(manifests.as_array()))
    index.manifests.push_back(TRY(read_descriptor(entry)));
  return index;
}

std::string Index::dump() const {
  Json json{{"schemaVersion", 2}, {"mediaType", media_type}, {"manifests", Json::array()}};
  for (const Descriptor& manifest : manifests) json["manifests"].push_back(descriptor_json(manifest));
  return write_json(json);
}

Result<Descriptor> Index::select(const Platform& wanted) const {
  for (const Descriptor& entry : manifests) {
    if (entry.platform && entry.platform->matches(wanted)) return entry;
  }
  // Tools that make images for their own machine only often leave the platform out.
  for (const Descriptor& entry : manifests) {
    if (!entry.platform) return entry;
  }
  constexpr std::size_t kMostListed = 20;
  std::vector<std::string> there;
  for (const Descriptor& entry : manifests) {
    if (entry.platform->os != "unknown" && there.size() < kMostListed)
      there.push_back(entry.platform->text());
  }
  return fail(Code::NotFound, fmt::format("the image has nothing for {}; it has: {}", wanted.text(),
                                          there.empty() ? "nothing" : join(there, ", ")));
}

}  // namespace berth::image

// Reading OCI layouts (image-spec 1.1, image-layout.md).
#include <fmt/core.h>

#include "base/json_value.hpp"
#include "image/archive/load.hpp"

namespace berth::image {
namespace {

constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";
constexpr std::string_view kContainerdName = "io.containerd.image.name";
constexpr int kMaxNesting = 3;  // indexes within indexes

std::string blob_name(const Digest& digest) {
  return fmt::format("blobs/{}/{}", digest.algorithm(), digest.hex());
}

Result<void> take(Source& source, const Descriptor& descriptor) {
  return source.take(blob_name(descriptor.digest), descriptor);
}

Result<void> check_layout_version(Source& source) {
  if (!TRY(source.has("oci-layout"))) return {};  // some tools leave it out
  const Json parsed = TRY(parse_json(TRY(source.read("oci-layout")), "oci-layout"));
  const JsonView version = TRY(JsonView(parsed, "oci-layout").at("imageLayoutVersion"));
  const std::string text = TRY(version.as_string());
  if (!text.starts_with("1.")) return version.bad(fmt::format("\"{}\" is not known, only 1.x", text));
  return {};
}

// The manifest that `descriptor` leads to, through indexes.
Result<Descriptor> find_manifest(Source& source, Descriptor descriptor, const Platform& platform) {
  for (int i = 0; is_index(descriptor.media_type); ++i) {
    if (i == kMaxNesting) return fail(Code::InvalidArgument, "indexes are nested too deep");
    const std::string name = blob_name(descriptor.digest);
    const Index index = TRY_DURING(name, Index::parse(TRY(source.read(name))));
    descriptor = TRY_DURING(name, index.select(platform));
  }
  if (is_manifest(descriptor.media_type)) return descriptor;
  return fail(Code::InvalidArgument, fmt::format("{}: \"{}\" is not an image manifest",
                                                 descriptor.digest.text(), descriptor.media_type));
}

// The name an entry carries: whole, or a tag alone ("latest", as skopeo and umoci write), which then needs
// `fallback`.
Result<std::optional<Reference>> name_of(const Descriptor& entry, const std::string& fallback) {
  for (const std::string_view key : {kContainerdName, kRefName}) {
    const auto annotation = entry.annotations.find(std::string(key));
    if (annotation == entry.annotations.end()) continue;
    const std::string& text = annotation->second;
    if (text.find_first_of("/:") != std::string::npos) {
      return std::optional(TRY_DURING("index.json", Reference::parse(text)));
    }
    if (!fallback.empty()) break;
    // A bare word is the tag of an image without a name, or a name; either way people find it under that
    // word.
    return std::optional(TRY_DURING("index.json", Reference::parse("localhost/" + text)));
  }
  if (fallback.empty()) return std::optional<Reference>{};
  return std::optional(TRY(Reference::parse(fallback)));
}

Result<Found> read_entry(Source& source, const Descriptor& entry, const LoadOptions& options) {
  const Descriptor descriptor = TRY(find_manifest(source, entry, options.platform));
  const std::string name = blob_name(descriptor.digest);
  const Manifest manifest = TRY_DURING(name, Manifest::parse(TRY(source.read(name))));
  TRY(take(source, manifest.config));
  for (const Descriptor& layer : manifest.layers) TRY(take(source, layer));
  TRY(take(source, descriptor));
  return Found{TRY(name_of(entry, options.name)), descriptor};
}

}  // namespace

Result<std::vector<Found>> read_oci_layout(Source& source, const LoadOptions& options) {
  TRY(check_layout_version(source));
  const Index index = TRY_DURING("index.json", Index::parse(TRY(source.read("index.json"))));
  if (index.manifests.empty()) return fail(Code::NotFound, "index.json: it lists no image");
  if (!options.name.empty() && index.manifests.size() > 1) {
    return fail(Code::InvalidArgument,
                fmt::format("--name: the archive holds {} images", index.manifests.size()));
  }
  std::vector<Found> images;
  for (const Descriptor& entry : index.manifests) images.push_back(TRY(read_entry(source, entry, options)));
  return images;
}

}  // namespace berth::image

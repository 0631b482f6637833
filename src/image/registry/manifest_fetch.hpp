// Manifests and indexes from a registry, verified against what names them.
#pragma once

#include <string>

#include "base/result.hpp"
#include "image/model/manifest.hpp"
#include "image/model/reference.hpp"
#include "image/registry/client.hpp"

namespace berth::image::registry {

struct FetchedManifest {
  Descriptor descriptor;  // of the bytes as they are
  std::string bytes;
};

// The manifest or index that `name` (a tag or a digest) stands for. Its digest must be `expected` where that
// is given, and what the registry itself claims in Docker-Content-Digest. At most kMaxManifestBytes. Docker's
// schema 1 is refused.
Result<FetchedManifest> fetch_manifest(Client& client, const std::string& repository, const std::string& name,
                                       const std::optional<Digest>& expected);

// The image manifest for `platform`: itself, or what the index says (indexes may nest twice).
Result<FetchedManifest> fetch_image_manifest(Client& client, const Reference& image,
                                             const Platform& platform);

}  // namespace berth::image::registry

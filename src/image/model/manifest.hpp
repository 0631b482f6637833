// OCI image-spec 1.1 documents, and Docker's schema 2 forms of them, as far as berth acts on them. Reading is
// strict about what is used (every error names the field) and keeps nothing of what is not.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "image/model/digest.hpp"

namespace berth::image {

namespace media {
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kOciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kOciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";
}  // namespace media

bool is_manifest(std::string_view media_type);
bool is_index(std::string_view media_type);
bool is_layer(std::string_view media_type);  // incl. the non-distributable forms

// "linux/amd64", "linux/arm64/v8".
struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;
  static Platform host();
  static Result<Platform> parse(std::string_view text);
  std::string text() const;
  bool matches(const Platform& wanted) const;
};

struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size = 0;
  std::optional<Platform> platform;
  std::map<std::string, std::string> annotations;
  std::vector<std::string> urls;  // where a non-distributable layer is to be had instead
};

inline constexpr std::size_t kMaxManifestBytes = 4 << 20;  // what registries accept (distribution-spec)
inline constexpr std::size_t kMaxLayers = 500;             // overlay's own limit on lower directories

struct Manifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;
  std::map<std::string, std::string> annotations;
  static Result<Manifest> parse(std::string_view json);
  std::string dump() const;
};

struct Index {
  std::string media_type;
  std::vector<Descriptor> manifests;
  static Result<Index> parse(std::string_view json);
  std::string dump() const;
  // The first entry that fits; NotFound lists what there is.
  Result<Descriptor> select(const Platform& wanted) const;
};

struct Healthcheck {
  std::vector<std::string> test;
  std::int64_t interval_ns = 0;
  std::int64_t timeout_ns = 0;
  std::int64_t start_period_ns = 0;
  std::int64_t retries = 0;
};

struct HistoryEntry {
  std::string created;
  std::string created_by;
  std::string comment;
  bool empty_layer = false;
};

// The image configuration (image-spec, config.md).
struct ImageConfig {
  Platform platform;
  std::string created;
  std::string author;
  std::string user;
  std::string working_dir;
  std::string stop_signal;
  std::vector<std::string> env;
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::vector<std::string> volumes;
  std::vector<std::string> exposed_ports;
  std::map<std::string, std::string> labels;
  std::optional<Healthcheck> healthcheck;
  std::vector<Digest> diff_ids;
  std::vector<HistoryEntry> history;
  static Result<ImageConfig> parse(std::string_view json);
  std::string dump() const;
};

// chain_id(0) = diff_id(0); chain_id(n) = digest("chain_id(n-1) diff_id(n)") (image-spec, config.md).
std::vector<Digest> chain_ids(const std::vector<Digest>& diff_ids);

}  // namespace berth::image

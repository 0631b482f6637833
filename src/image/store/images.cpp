// Images and their names.
#include <fmt/core.h>

#include <algorithm>

#include "base/text.hpp"
#include "image/store/schema.hpp"
#include "image/store/store.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kLeastIdDigits = 3;
constexpr std::size_t kIdDigits = 64;
constexpr std::string_view kSelectNamed =
    "SELECT i.name, m.digest, m.media_type, m.size, m.config, i.created_ns "
    "FROM images i JOIN manifests m ON m.digest = i.manifest ";
constexpr std::string_view kSelectAny =
    "SELECT coalesce(i.name, ''), m.digest, m.media_type, m.size, m.config, coalesce(i.created_ns, "
    "m.created_ns) "
    "FROM manifests m LEFT JOIN images i ON m.digest = i.manifest ";

Result<ImageRecord> read_record(const db::Statement& row) {
  ImageRecord record;
  record.name = row.text(0);
  record.manifest.digest = TRY(Digest::parse(row.text(1)));
  record.manifest.media_type = row.text(2);
  record.manifest.size = static_cast<std::uint64_t>(row.integer(3));
  record.config = TRY(Digest::parse(row.text(4)));
  record.created_ns = row.integer(5);
  return record;
}

Result<std::vector<ImageRecord>> read_records(db::Statement query) {
  std::vector<ImageRecord> records;
  while (TRY(query.step())) records.push_back(TRY(read_record(query)));
  return records;
}

Result<std::optional<ImageRecord>> first(db::Statement query) {
  if (!TRY(query.step())) return std::optional<ImageRecord>{};
  return std::optional<ImageRecord>(TRY(read_record(query)));
}

std::string sql(std::string_view select, std::string_view rest) {
  return std::string(select) + std::string(rest);
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<void> check_is_image(const Manifest& manifest, const ImageConfig& config) {
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    if (is_layer(manifest.layers[i].media_type)) continue;
    return fail(Code::InvalidArgument,
                fmt::format("manifest.layers[{}].mediaType: \"{}\" is not a file system layer", i,
                            manifest.layers[i].media_type));
  }
  if (manifest.layers.size() != config.diff_ids.size()) {
    return fail(Code::InvalidArgument,
                fmt::format("the manifest has {} layers, but the configuration's rootfs.diff_ids {}",
                            manifest.layers.size(), config.diff_ids.size()));
  }
  return {};
}

}  // namespace

Result<void> Store::record_manifest(const Descriptor& descriptor, const Manifest& manifest,
                                    const ImageConfig& config) {
  // A manifest that is here already is taken in anew: its age is what keeps it while its lease lives.
  auto touch = TRY(database_.prepare("UPDATE manifests SET created_ns = ? WHERE digest = ?"));
  TRY(touch.bind(now_ns()).bind(descriptor.digest.text()).run());
  if (database_.changes() > 0) return {};
  auto insert = TRY(database_.prepare("INSERT INTO manifests VALUES (?, ?, ?, ?, ?)"));
  TRY(insert.bind(descriptor.digest.text())
          .bind(descriptor.media_type)
          .bind(static_cast<std::int64_t>(descriptor.size))
          .bind(manifest.config.digest.text())
          .bind(now_ns())
          .run());
  const auto chain = chain_ids(config.diff_ids);
  for (std::size_t i = 0; i < chain.size(); ++i) {
    auto layer = TRY(database_.prepare("INSERT INTO manifest_layers VALUES (?, ?, ?, ?, ?)"));
    TRY(layer.bind(descriptor.digest.text())
            .bind(static_cast<std::int64_t>(i))
            .bind(manifest.layers[i].digest.text())
            .bind(config.diff_ids[i].text())
            .bind(chain[i].text())
            .run());
  }
  return {};
}

Result<void> Store::set_image(const Reference& name, const Descriptor& descriptor) {
  TRY(add_image(name, descriptor));
  return {};
}

Result<ImageRecord> Store::add_image(const std::optional<Reference>& name, const Descriptor& descriptor) {
  ImageRecord record{name ? name->text() : "", descriptor, {}, now_ns()};
  const std::string what = name ? record.name : descriptor.digest.text();
  const Manifest manifest = TRY_DURING(what, Manifest::parse(TRY(read_blob(descriptor.digest))));
  const ImageConfig config = TRY_DURING(what, ImageConfig::parse(TRY(read_blob(manifest.config.digest))));
  TRY_DURING(what, check_is_image(manifest, config));
  record.config = manifest.config.digest;
  TRY(database_.transaction([&]() -> Result<void> {
    std::vector<Digest> needed{descriptor.digest, manifest.config.digest};
    for (const Descriptor& layer : manifest.layers) needed.push_back(layer.digest);
    for (const Digest& digest : needed) {
      if (TRY(use_blob(digest))) continue;
      return fail(Code::FailedPrecondition,
                  fmt::format("cannot store image {}: blob {} is missing", what, digest.text()));
    }
    TRY(record_manifest(descriptor, manifest, config));
    if (!name) return {};
    auto insert =
        TRY(database_.prepare("INSERT INTO images VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                              "manifest = excluded.manifest, created_ns = excluded.created_ns"));
    return insert.bind(record.name).bind(descriptor.digest.text()).bind(record.created_ns).run();
  }));
  return record;
}

Result<std::optional<ImageRecord>> Store::find_by_name(std::string_view name) {
  const auto reference = Reference::parse(name);
  if (!reference) return std::optional<ImageRecord>{};
  // Names that local builders give ("localhost/x") are found by their short form as well, as Podman does.
  const bool short_name = name.find('/') == std::string_view::npos;
  const std::string local = short_name ? "localhost/" + reference->familiar() : std::string();
  for (const std::string& text : {reference->text(), local}) {
    if (text.empty()) continue;
    auto query = TRY(database_.prepare(sql(kSelectNamed, "WHERE i.name = ?")));
    query.bind(text);
    if (auto found = TRY(first(std::move(query)))) return found;
  }
  if (!reference->digest) return std::optional<ImageRecord>{};
  auto query = TRY(database_.prepare(
      sql(kSelectNamed, "WHERE m.digest = ? AND substr(i.name, 1, length(?)) = ? ORDER BY i.name LIMIT 1")));
  query.bind(reference->digest->text()).bind(reference->name()).bind(reference->name());
  return first(std::move(query));
}

// `text` is "sha256:<hex>" of a manifest or a configuration, or the first digits of an id.
Result<std::optional<ImageRecord>> Store::find_by_digest(std::string_view text) {
  const bool whole = Digest::parse(text).has_value();
  if (!whole && (text.size() < kLeastIdDigits || text.size() > kIdDigits || !is_hex(text))) {
    return std::optional<ImageRecord>{};
  }
  const std::string low = whole ? std::string(text) : "sha256:" + std::string(text);
  auto query = TRY(database_.prepare(
      sql(kSelectAny,
          "WHERE (m.config >= ? AND m.config < ?) OR m.digest = ? ORDER BY i.created_ns DESC, i.name")));
  query.bind(low).bind(low + "g").bind(low);
  const auto records = TRY(read_records(std::move(query)));
  if (records.empty()) return std::optional<ImageRecord>{};
  for (const ImageRecord& record : records) {
    if (record.config == records[0].config) continue;
    return fail(Code::InvalidArgument,
                fmt::format("image id \"{}\" is ambiguous: {} and {} begin with it", text,
                            records[0].config.short_id(), record.config.short_id()));
  }
  return std::optional<ImageRecord>(records[0]);
}

Result<std::optional<ImageRecord>> Store::find_image(std::string_view name_or_id) {
  if (auto named = TRY(find_by_name(name_or_id))) return named;
  return find_by_digest(name_or_id);
}

Result<ImageRecord> Store::get_image(std::string_view name_or_id) {
  if (auto found = TRY(find_image(name_or_id))) return *std::move(found);
  TRY(Reference::parse(name_or_id));
  return fail(Code::NotFound,
              fmt::format("no image \"{0}\" here: pull it with: berth image pull {0}", name_or_id));
}

Result<std::vector<ImageRecord>> Store::list_images() {
  return read_records(TRY(database_.prepare(sql(kSelectAny, "ORDER BY 6 DESC, 1"))));
}

Result<void> Store::remove_name(const std::string& name) {
  return database_.transaction([&]() -> Result<void> {
    auto query = TRY(database_.prepare("DELETE FROM images WHERE name = ? RETURNING manifest"));
    if (!TRY(query.bind(name).step())) return fail(Code::NotFound, fmt::format("no image is named {}", name));
    const std::string manifest = query.text(0);
    TRY(query.run());
    auto last =
        TRY(database_.prepare("DELETE FROM manifests WHERE digest = ? "
                              "AND digest NOT IN (SELECT manifest FROM images) "
                              "AND digest NOT IN (SELECT manifest FROM pins)"));
    return last.bind(manifest).run();
  });
}

Result<void> Store::untag(const std::string& name) {
  TRY(TRY(database_.prepare("DELETE FROM images WHERE name = ?")).bind(name).run());
  if (database_.changes() == 0) return fail(Code::NotFound, fmt::format("no image is named {}", name));
  return {};
}

Result<void> Store::remove_image(const Digest& manifest) {
  return database_.transaction([&]() -> Result<void> {
    const auto owners = TRY(pin_owners_of(manifest));
    if (!owners.empty()) {
      return fail(Code::FailedPrecondition,
                  fmt::format("image {} is in use by instance {}: remove that first", manifest.short_id(),
                              owners[0].substr(0, 12)));
    }
    TRY(TRY(database_.prepare("DELETE FROM images WHERE manifest = ?")).bind(manifest.text()).run());
    return TRY(database_.prepare("DELETE FROM manifests WHERE digest = ?")).bind(manifest.text()).run();
  });
}

Result<std::vector<ImageRecord>> Store::prune_images(bool all, std::int64_t before_ns) {
  std::vector<ImageRecord> removed;
  before_ns = std::min(before_ns, TRY(lease_horizon_ns()));  // an image on its way in has no name yet
  TRY(database_.transaction([&]() -> Result<void> {
    auto query = TRY(database_.prepare(sql(kSelectAny, "WHERE m.digest NOT IN (SELECT manifest FROM pins)")));
    for (ImageRecord& record : TRY(read_records(std::move(query)))) {
      if ((!all && !record.name.empty()) || record.created_ns >= before_ns) continue;
      TRY(TRY(database_.prepare("DELETE FROM images WHERE name = ?")).bind(record.name).run());
      removed.push_back(std::move(record));
    }
    for (const ImageRecord& record : removed) {
      TRY(TRY(database_.prepare("DELETE FROM manifests WHERE digest = ? "
                                "AND digest NOT IN (SELECT manifest FROM images)"))
              .bind(record.manifest.digest.text())
              .run());
    }
    return {};
  }));
  return removed;
}

Result<Manifest> Store::manifest_of(const ImageRecord& image) {
  return Manifest::parse(TRY(read_blob(image.manifest.digest)));
}

Result<ImageConfig> Store::config_of(const ImageRecord& image) {
  return ImageConfig::parse(TRY(read_blob(image.config)));
}

Result<std::vector<LayerRecord>> Store::layers_of(const ImageRecord& image) {
  auto query = TRY(database_.prepare(
      "SELECT m.chain_id, m.diff_id, l.size_bytes FROM manifest_layers m LEFT JOIN layers l USING (chain_id) "
      "WHERE m.manifest = ? ORDER BY m.position"));
  query.bind(image.manifest.digest.text());
  std::vector<LayerRecord> layers;
  while (TRY(query.step())) {
    layers.push_back({TRY(Digest::parse(query.text(0))), TRY(Digest::parse(query.text(1))),
                      static_cast<std::uint64_t>(query.optional_integer(2).value_or(0))});
  }
  return layers;
}

Result<ResolvedImage> Store::resolve(const ImageRecord& image) {
  ResolvedImage resolved{image, TRY(config_of(image)), {}};
  // On the way to every start of a unit: one query, and no digests are computed.
  auto query = TRY(database_.prepare(
      "SELECT m.chain_id, l.chain_id IS NULL FROM manifest_layers m LEFT JOIN layers l USING (chain_id) "
      "WHERE m.manifest = ? ORDER BY m.position DESC"));
  query.bind(image.manifest.digest.text());
  while (TRY(query.step())) {
    const Digest chain_id = TRY(Digest::parse(query.text(0)));
    if (query.integer(1) != 0) {
      return fail(Code::FailedPrecondition,
                  fmt::format("layer {} of image {} is not unpacked yet", chain_id.short_id(),
                              image.name.empty() ? image.config.short_id() : image.name));
    }
    resolved.layers.push_back(layer_dir(chain_id));
  }
  return resolved;
}

}  // namespace berth::image

// Pins and sizes.
#include <fmt/core.h>

#include "image/store/store.hpp"

namespace berth::image {
namespace {

Result<std::vector<std::string>> read_column(db::Statement query) {
  std::vector<std::string> texts;
  while (TRY(query.step())) texts.push_back(query.text(0));
  return texts;
}

}  // namespace

Result<void> Store::pin(const std::string& owner, const ImageRecord& image) {
  auto insert =
      TRY(database_.prepare("INSERT OR IGNORE INTO pins SELECT ?, digest FROM manifests WHERE digest = ?"));
  TRY(insert.bind(owner).bind(image.manifest.digest.text()).run());
  if (database_.changes() > 0) return {};
  const auto owners = TRY(pin_owners_of(image.manifest.digest));
  for (const std::string& other : owners) {
    if (other == owner) return {};
  }
  return fail(Code::NotFound, fmt::format("image {} has just been removed",
                                          image.name.empty() ? image.config.short_id() : image.name));
}

Result<void> Store::unpin(const std::string& owner) {
  return TRY(database_.prepare("DELETE FROM pins WHERE owner = ?")).bind(owner).run();
}

Result<std::vector<std::string>> Store::pin_owners() {
  return read_column(TRY(database_.prepare("SELECT DISTINCT owner FROM pins ORDER BY owner")));
}

Result<std::vector<std::string>> Store::pin_owners_of(const Digest& manifest) {
  auto query = TRY(database_.prepare("SELECT owner FROM pins WHERE manifest = ? ORDER BY owner"));
  query.bind(manifest.text());
  return read_column(std::move(query));
}

Result<std::map<Digest, ImageSizes>> Store::sizes() {
  // One row for each layer of each image: its bytes, and by how many images it is used. Unions by chain id,
  // so that a layer which an image lists twice counts once.
  auto query = TRY(database_.prepare(
      "WITH used AS (SELECT DISTINCT manifest, chain_id, blob FROM manifest_layers) "
      "SELECT u.manifest, coalesce(l.size_bytes, b.size, 0), "
      "       (SELECT count(DISTINCT o.manifest) FROM manifest_layers o WHERE o.chain_id = u.chain_id) "
      "FROM used u LEFT JOIN layers l USING (chain_id) LEFT JOIN blobs b ON b.digest = u.blob"));
  std::map<Digest, ImageSizes> sizes;
  while (TRY(query.step())) {
    ImageSizes& size = sizes[TRY(Digest::parse(query.text(0)))];
    (query.integer(2) > 1 ? size.shared_bytes : size.own_bytes) +=
        static_cast<std::uint64_t>(query.integer(1));
  }
  return sizes;
}

}  // namespace berth::image

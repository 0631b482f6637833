// Garbage collection. Rows go first, in one transaction that also decides; then files, each under its lock
// and only if it has not got a row again meanwhile.
#include <fmt/core.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "image/store/schema.hpp"
#include "image/store/store.hpp"

namespace berth::image {
namespace {

constexpr std::string_view kDeleteBlobs =
    "DELETE FROM blobs WHERE used_ns >= ? AND used_ns < ? AND digest NOT IN (SELECT digest FROM manifests "
    "UNION "
    "SELECT config FROM manifests UNION SELECT blob FROM manifest_layers) RETURNING digest, size";
constexpr std::string_view kDeleteLayers =
    "DELETE FROM layers WHERE used_ns >= ? AND used_ns < ? AND chain_id NOT IN (SELECT chain_id FROM "
    "manifest_layers) "
    "RETURNING chain_id, size_bytes";

// Runs one of the above; adds the rows' bytes to `bytes`.
Result<std::vector<Digest>> sweep(db::Database& database, std::string_view sql, std::int64_t begin_ns,
                                  std::int64_t horizon_ns, std::uint64_t& bytes) {
  std::vector<Digest> gone;
  auto query = TRY(database.prepare(sql));
  query.bind(begin_ns).bind(horizon_ns);
  while (TRY(query.step())) {
    gone.push_back(TRY(Digest::parse(query.text(0))));
    bytes += static_cast<std::uint64_t>(query.integer(1));
  }
  return gone;
}

Result<bool> has_row(db::Database& database, std::string_view sql, const Digest& digest) {
  auto query = TRY(database.prepare(sql));
  return query.bind(digest.text()).step();
}

}  // namespace

// When the lease at tmp/`name` began; empty for what is no lease.
std::optional<std::int64_t> start_of(std::string_view name) {
  return parse_i64(name.substr(0, name.find('-')));
}

// Content that was used after the oldest live lease began may be needed by it.
Result<std::int64_t> Store::lease_horizon_ns() {
  std::int64_t horizon = INT64_MAX;
  for (const std::string& name : TRY(list_directory(root_ + "/tmp"))) {
    const auto start = start_of(name);
    if (!start) continue;
    const std::string path = root_ + "/tmp/" + name;
    const sys::Fd free = TRY(try_lock_entry(path));
    if (!free && sys::exists(path)) horizon = std::min(horizon, *start);
  }
  return horizon;
}

Result<bool> Store::remove_blob_file(const Digest& digest) {
  const std::string path = blob_path(digest);
  const sys::Fd locked = TRY(try_lock_entry(path));
  if (!locked || TRY(has_row(database_, "SELECT 1 FROM blobs WHERE digest = ?", digest))) return false;
  if (::unlink(path.c_str()) != 0) return fail_errno(fmt::format("cannot remove {}", path));
  return true;
}

// Gives the bytes freed; 0 where somebody has just unpacked the layer again.
Result<std::uint64_t> Store::remove_layer_files(const Digest& chain_id) {
  const sys::Fd locked = TRY(lock_layer(chain_id));
  const std::string path = layer_path(chain_id);
  if (TRY(has_row(database_, "SELECT 1 FROM layers WHERE chain_id = ?", chain_id))) return std::uint64_t{0};
  const sys::Fd directory = TRY(lock_existing(path));  // keeps recover() of others away from the grave below
  if (!directory) return std::uint64_t{0};
  const std::uint64_t bytes = TRY(sys::disk_usage(path));
  // Out of the way at once, so that nobody ever sees a layer half removed; recover() finishes after a crash.
  const std::string grave = fmt::format("{}/tmp/removed-{}", root_, random_hex(16));
  if (::rename(path.c_str(), grave.c_str()) != 0) return fail_errno(fmt::format("cannot remove {}", path));
  TRY(sys::remove_tree(grave));
  ::unlink(fmt::format("{}/tmp/layer-{}", root_, chain_id.hex()).c_str());
  return bytes;
}

Result<void> Store::remove_stray_files(GcResult& result) {
  for (const char* algorithm : {"sha256", "sha512"}) {
    for (const std::string& name : TRY(list_directory(fmt::format("{}/blobs/{}", root_, algorithm)))) {
      const auto digest = Digest::parse(fmt::format("{}:{}", algorithm, name));
      if (!digest || TRY(has_row(database_, "SELECT 1 FROM blobs WHERE digest = ?", *digest))) continue;
      const auto info = sys::stat(blob_path(*digest));
      if (!TRY(remove_blob_file(*digest))) continue;
      ++result.blobs;
      if (info) result.freed_bytes += static_cast<std::uint64_t>(info->st_size);
    }
  }
  for (const std::string& name : TRY(list_directory(root_ + "/layers"))) {
    const auto chain_id = Digest::parse((name.size() > 64 ? "sha512:" : "sha256:") + name);
    if (!chain_id || TRY(has_row(database_, "SELECT 1 FROM layers WHERE chain_id = ?", *chain_id))) continue;
    const std::uint64_t bytes = TRY(remove_layer_files(*chain_id));
    result.layers += bytes > 0 ? 1 : 0;
    result.freed_bytes += bytes;
  }
  return {};
}

Result<void> Store::collect(std::int64_t begin_ns, GcResult& result) {
  std::vector<Digest> blobs;
  std::vector<Digest> layers;
  {
    const sys::Fd door = TRY(sys::lock_file(root_ + "/gc.lock"));
    const std::int64_t horizon_ns = TRY(lease_horizon_ns());
    TRY(database_.transaction([&]() -> Result<void> {
      blobs = TRY(sweep(database_, kDeleteBlobs, begin_ns, horizon_ns, result.freed_bytes));
      layers = TRY(sweep(database_, kDeleteLayers, begin_ns, horizon_ns, result.freed_bytes));
      return {};
    }));
  }
  result.blobs = blobs.size();
  result.layers = layers.size();
  for (const Digest& digest : blobs) TRY(remove_blob_file(digest));
  for (const Digest& chain_id : layers) TRY(remove_layer_files(chain_id));
  return {};
}

Result<void> Store::abandon(Lease lease) {
  const auto begin_ns = start_of(std::string_view(lease.path_).substr(lease.path_.rfind('/') + 1));
  BERTH_ASSERT(begin_ns.has_value());
  { const Lease ended = std::move(lease); }
  GcResult result;
  return collect(*begin_ns, result);
}

Result<GcResult> Store::gc() {
  GcResult result;
  TRY(collect(0, result));
  TRY(remove_stray_files(result));
  for (const std::string& name : TRY(list_directory(root_ + "/ingest"))) {
    const std::string path = root_ + "/ingest/" + name;
    const sys::Fd unowned = TRY(try_lock_entry(path));
    if (unowned) TRY(sys::remove_tree(path));
  }
  TRY(recover());
  return result;
}

}  // namespace berth::image

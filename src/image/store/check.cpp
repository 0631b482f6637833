// The integrity check: everything that the store's rules promise, verified against the disk.
#include <fmt/core.h>

#include <set>

#include "image/store/schema.hpp"
#include "image/store/store.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;
using Problems = std::vector<std::string>;

Result<std::set<std::string>> column(db::Database& database, std::string_view sql) {
  std::set<std::string> values;
  auto query = TRY(database.prepare(sql));
  while (TRY(query.step())) values.insert(query.text(0));
  return values;
}

Result<Digest> digest_of_file(int fd, std::string_view algorithm) {
  Hasher hasher(algorithm);
  std::string buffer(kReadBytes, '\0');
  for (;;) {
    const std::size_t count = TRY(sys::read_some(fd, buffer));
    if (count == 0) return hasher.finish();
    hasher.update(std::string_view(buffer).substr(0, count));
  }
}

Result<void> check_blob(Store& store, const std::string& text, Problems& problems) {
  const Digest digest = TRY(Digest::parse(text));
  const auto fd = store.open_blob(digest);
  if (!fd) {
    problems.push_back(fmt::format("blob {}: the file is missing", text));
    return {};
  }
  if (TRY(digest_of_file(fd->get(), digest.algorithm())) != digest) {
    problems.push_back(fmt::format("blob {}: the file's content has another digest", text));
  }
  struct stat info {};
  if (::fstat(fd->get(), &info) != 0) return fail_errno(fmt::format("cannot stat blob {}", text));
  if (static_cast<std::uint64_t>(info.st_size) != TRY(store.blob_size(digest))) {
    problems.push_back(fmt::format("blob {}: the file's size differs from the record", text));
  }
  return {};
}

Result<void> check_blobs(Store& store, Problems& problems) {
  const auto rows = TRY(column(store.database(), "SELECT digest FROM blobs"));
  for (const std::string& text : rows) TRY(check_blob(store, text, problems));
  for (const char* algorithm : {"sha256", "sha512"}) {
    for (const std::string& name : TRY(list_directory(fmt::format("{}/blobs/{}", store.root(), algorithm)))) {
      if (rows.contains(fmt::format("{}:{}", algorithm, name))) continue;
      problems.push_back(fmt::format("blobs/{}/{}: a file without record", algorithm, name));
    }
  }
  return {};
}

Result<void> check_layers(Store& store, Problems& problems) {
  const auto rows = TRY(column(store.database(), "SELECT chain_id FROM layers"));
  std::set<std::string> directories;
  for (const std::string& text : rows) {
    const Digest chain_id = TRY(Digest::parse(text));
    directories.emplace(chain_id.hex());
    if (sys::exists(store.layer_dir(chain_id))) continue;
    problems.push_back(fmt::format("layer {}: the directory is missing", text));
  }
  for (const std::string& name : TRY(list_directory(store.root() + "/layers"))) {
    if (!directories.contains(name))
      problems.push_back(fmt::format("layers/{}: a directory without record", name));
  }
  return {};
}

Result<void> check_references(Store& store, Problems& problems) {
  const auto missing =
      TRY(column(store.database(),
                 "SELECT digest FROM (SELECT digest FROM manifests UNION SELECT config FROM manifests UNION "
                 "SELECT blob FROM manifest_layers) WHERE digest NOT IN (SELECT digest FROM blobs)"));
  for (const std::string& text : missing)
    problems.push_back(fmt::format("blob {}: an image needs it, but it has no record", text));
  for (const ImageRecord& image : TRY(store.list_images())) {
    const auto manifest = store.manifest_of(image);
    const auto config = store.config_of(image);
    const std::string id = image.name.empty() ? image.manifest.digest.text() : image.name;
    if (!manifest) problems.push_back(fmt::format("image {}: {}", id, manifest.error().message));
    if (!config) problems.push_back(fmt::format("image {}: {}", id, config.error().message));
  }
  return {};
}

Result<void> check_database(Store& store, Problems& problems) {
  for (const std::string& line : TRY(column(store.database(), "PRAGMA integrity_check"))) {
    if (line != "ok") problems.push_back("database: " + line);
  }
  for (const std::string& table : TRY(column(store.database(), "PRAGMA foreign_key_check"))) {
    problems.push_back(fmt::format("database: a row of {} refers to nothing", table));
  }
  return {};
}

// What recover() and gc() would remove: leftovers of processes that are gone.
Result<void> check_leftovers(Store& store, Problems& problems) {
  for (const char* directory : {"tmp", "ingest"}) {
    for (const std::string& name : TRY(list_directory(fmt::format("{}/{}", store.root(), directory)))) {
      const sys::Fd unowned = TRY(try_lock_entry(fmt::format("{}/{}/{}", store.root(), directory, name)));
      if (unowned) problems.push_back(fmt::format("{}/{}: left by a process that is gone", directory, name));
    }
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> Store::check() {
  Problems problems;
  TRY(check_database(*this, problems));
  TRY(check_blobs(*this, problems));
  TRY(check_layers(*this, problems));
  TRY(check_references(*this, problems));
  TRY(check_leftovers(*this, problems));
  return problems;
}

}  // namespace berth::image

// The content-addressed image store, shared by all units and by any number of berth processes at once.
//
// On disk below the root directory:
//   berth.db                     SQLite: images (names), blobs, layers, leases
//   blobs/<algorithm>/<hex>      immutable; a file here is whole and verified
//   ingest/<algorithm>-<hex>     a blob on its way in; locked by its writer, resumed by the next one
//   layers/<chain id hex>/       an unpacked layer, overlay-ready and immutable (fs/ below it is the lower directory)
//   tmp/<name>/                  work in progress; locked by its owner, removed by recover() once the owner is gone
// Order on the way in: file first, then row. Order on the way out: row first, then file. So a crash leaves only files
// without rows, which recover() removes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "db/database.hpp"
#include "image/model/manifest.hpp"
#include "image/model/reference.hpp"
#include "sys/fd.hpp"

namespace berth::image {

struct ImageRecord {
  std::string name;  // Reference::text(); "" for an untagged image
  Descriptor manifest;
  Digest config;     // its digest is the image's id
  std::int64_t created_ns = 0;  // when the name was last set here, since the epoch
};

struct LayerRecord {
  Digest chain_id;
  Digest diff_id;
  std::uint64_t size_bytes = 0;  // unpacked, on disk
};

// What is needed to run an image: lower directories, top first, and its configuration.
struct ResolvedImage {
  ImageRecord record;
  ImageConfig config;
  std::vector<std::string> layers;
};

class Store;

// Writes one blob. Bytes of an interrupted earlier attempt are kept: start at offset(). Dropped without commit() it
// leaves the bytes so far for the next attempt.
class BlobWriter {
 public:
  std::uint64_t offset() const { return offset_; }
  Result<void> write(std::string_view bytes);  // ResourceExhausted past the announced size
  Result<void> restart();                      // forget the bytes so far
  // DataLoss unless size and digest are as announced; the bytes are then dropped.
  Result<void> commit();

 private:
  friend class Store;
  Store* store_ = nullptr;
  Descriptor descriptor_;
  std::string path_;
  sys::Fd fd_;
  Hasher hasher_;
  std::uint64_t offset_ = 0;
  bool present_ = false;  // the store had the blob already: offset() is the size, commit() does nothing
};

// Keeps what is written under it from being pruned until it is destroyed (or its process dies).
class Lease {
 public:
  Lease(Lease&&) noexcept = default;
  Lease& operator=(Lease&&) noexcept = default;
  ~Lease();

 private:
  friend class Store;
  Lease(std::string path, sys::Fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  sys::Fd lock_;
};

// One process's handle on the store; used by one thread at a time (open another for another thread).
class Store {
 public:
  static Result<Store> open(const std::string& root);
  const std::string& root() const { return root_; }
  db::Database& database() { return database_; }

  // Removes what crashed processes left: ingest and tmp entries without owner, files without rows. Cheap when clean.
  Result<void> recover();

  // --- leases ---
  Result<Lease> lease();

  // --- blobs ---
  Result<bool> has_blob(const Digest& digest);
  Result<sys::Fd> open_blob(const Digest& digest);          // NotFound names the digest
  Result<std::string> read_blob(const Digest& digest, std::size_t limit = kMaxManifestBytes);
  Result<std::uint64_t> blob_size(const Digest& digest);
  // Waits while another process writes the same blob, then has it.
  Result<BlobWriter> write_blob(const Descriptor& descriptor);
  Result<Descriptor> put_blob(std::string_view bytes, std::string_view media_type);
  // A private directory below tmp/ for making something of unknown digest; removed with the lease's process.
  Result<std::string> make_work_dir(const Lease& lease);
  // Takes in a finished file of tmp/ as a blob, by rename.
  Result<void> adopt_blob(const std::string& path, const Descriptor& descriptor);

  // --- layers ---
  Result<std::optional<LayerRecord>> find_layer(const Digest& chain_id);
  std::string layer_dir(const Digest& chain_id) const;      // the lower directory itself
  // Takes in a directory made below tmp/ as layers/<chain>/fs; fine if somebody else was quicker.
  Result<void> adopt_layer(const std::string& directory, const LayerRecord& layer);
  Result<sys::Fd> lock_layer(const Digest& chain_id);        // one unpacker a layer

  // --- images ---
  Result<void> set_image(const Reference& name, const Descriptor& manifest);  // all blobs must be here
  Result<std::optional<ImageRecord>> find_image(std::string_view name_or_id); // name as typed, id or id prefix (>= 3)
  Result<ImageRecord> get_image(std::string_view name_or_id);                 // NotFound / ambiguous says so
  Result<std::vector<ImageRecord>> list_images();
  Result<void> remove_name(const std::string& name);
  Result<Manifest> manifest_of(const ImageRecord& image);
  Result<ImageConfig> config_of(const ImageRecord& image);
  // FailedPrecondition where a layer is not unpacked yet.
  Result<ResolvedImage> resolve(const ImageRecord& image);

 private:
  Store(std::string root, db::Database database) : root_(std::move(root)), database_(std::move(database)) {}
  std::string root_;
  db::Database database_;
};

}  // namespace berth::image

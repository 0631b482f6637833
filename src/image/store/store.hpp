// The content-addressed image store, shared by all units and by any number of berth processes at once.
//
// On disk below the root directory:
//   berth.db                     SQLite: images (names), manifests, blobs, layers, pins
//   blobs/<algorithm>/<hex>      immutable; a file here is whole and verified
//   ingest/<algorithm>-<hex>     a blob on its way in; locked by its writer, resumed by the next one
//   layers/<chain id hex>/       an unpacked layer, overlay-ready and immutable (fs/ below it is the lower
//   directory) tmp/<start>-<random>/        a lease's work in progress; locked by its owner, removed by
//   recover() once that is gone tmp/layer-<chain id hex>     the lock of a layer's unpacker
// Order on the way in: file first, then row. Order on the way out: row first, then file. So a crash leaves
// only files without rows, which gc() removes. A blob's row is made, and its file is unlinked, only under
// flock on the file.
#pragma once

#include <cstdint>
#include <map>
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
  Digest config;                // its digest is the image's id
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

// What an image occupies. Layers that are not unpacked yet count as the bytes of their archives.
struct ImageSizes {
  std::uint64_t shared_bytes = 0;  // in layers that other images use as well
  std::uint64_t own_bytes = 0;
  std::uint64_t total_bytes() const { return shared_bytes + own_bytes; }
};

struct GcResult {
  std::uint64_t blobs = 0;
  std::uint64_t layers = 0;
  std::uint64_t freed_bytes = 0;
};

class Store;

// Writes one blob. Bytes of an interrupted earlier attempt are kept: start at offset(). Dropped without
// commit() it leaves the bytes so far for the next attempt.
class BlobWriter {
 public:
  std::uint64_t offset() const { return offset_; }
  bool present() const { return present_; }  // the store had the blob already: nothing is left to be written
  // ResourceExhausted past the announced size, or where the disk is full (the bytes so far are then dropped).
  Result<void> write(std::string_view bytes);
  Result<void> restart();  // forget the bytes so far
  // DataLoss unless size and digest are as announced; the bytes are then dropped.
  Result<void> commit();

 private:
  friend class Store;
  BlobWriter(Store& store, Descriptor descriptor);
  Result<void> resume();
  void drop();
  Store* store_;
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
  Lease& operator=(Lease&& other) noexcept;
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

  // Removes what crashed processes left below tmp/ and ingest/ (bytes that a pull may resume are kept for a
  // day). Lists two directories, so it may run at the start of every command.
  Result<void> recover();

  // --- leases ---
  Result<Lease> lease();
  // Ends a lease whose work was refused: what was taken in since it began goes, unless an image or another
  // live lease needs it. Of a lease that just ends, gc() is left to collect.
  Result<void> abandon(Lease lease);

  // --- blobs ---
  // Where it is here, a live lease keeps it from now on.
  Result<bool> has_blob(const Digest& digest);
  Result<sys::Fd> open_blob(const Digest& digest);  // NotFound names the digest
  Result<std::string> read_blob(const Digest& digest, std::size_t limit = kMaxManifestBytes);
  Result<std::uint64_t> blob_size(const Digest& digest);
  // Waits while another process writes the same blob, then has it.
  Result<BlobWriter> write_blob(const Descriptor& descriptor);
  Result<Descriptor> put_blob(std::string_view bytes, std::string_view media_type);
  // A private directory below tmp/ for making something of unknown digest; removed with the lease.
  Result<std::string> make_work_dir(const Lease& lease);
  // Takes in a finished file of tmp/ as a blob, by rename. The caller has verified size and digest.
  Result<void> adopt_blob(const std::string& path, const Descriptor& descriptor);

  std::string blob_path(const Digest& digest) const;  // where its file is, if it is here

  // --- layers ---
  // Where it is here, a live lease keeps it from now on.
  Result<std::optional<LayerRecord>> find_layer(const Digest& chain_id);
  std::string layer_dir(const Digest& chain_id) const;  // the lower directory itself
  // Takes in a directory made below tmp/ as layers/<chain>/fs. The caller holds lock_layer().
  Result<void> adopt_layer(const std::string& directory, const LayerRecord& layer);
  Result<sys::Fd> lock_layer(const Digest& chain_id);  // one unpacker a layer

  // --- images ---
  Result<void> set_image(const Reference& name, const Descriptor& manifest);  // all blobs must be here
  // As set_image, but also without a name; gives the record.
  Result<ImageRecord> add_image(const std::optional<Reference>& name, const Descriptor& manifest);
  Result<std::optional<ImageRecord>> find_image(
      std::string_view name_or_id);                            // name as typed, id or id prefix (>= 3)
  Result<ImageRecord> get_image(std::string_view name_or_id);  // NotFound / ambiguous says so
  Result<std::vector<ImageRecord>> list_images();
  // The image goes with its last name, unless an instance pins it (it is then left untagged).
  Result<void> remove_name(const std::string& name);
  // Takes the name off; the image stays, untagged where it was the last one.
  Result<void> untag(const std::string& name);
  // All names and the image itself; FailedPrecondition where an instance pins it.
  Result<void> remove_image(const Digest& manifest);
  // Removes images without name, with `all` also named ones, that no instance pins and that were named before
  // `before_ns`. Gives what went.
  Result<std::vector<ImageRecord>> prune_images(bool all, std::int64_t before_ns = INT64_MAX);
  Result<Manifest> manifest_of(const ImageRecord& image);
  Result<ImageConfig> config_of(const ImageRecord& image);
  Result<std::vector<LayerRecord>> layers_of(
      const ImageRecord& image);  // bottom first; size 0: not unpacked yet
  // FailedPrecondition where a layer is not unpacked yet.
  Result<ResolvedImage> resolve(const ImageRecord& image);
  Result<std::map<Digest, ImageSizes>> sizes();  // by manifest digest

  // --- pins: what an instance runs from is kept, also without a name. `owner` is the instance's id ---
  Result<void> pin(const std::string& owner,
                   const ImageRecord& image);     // NotFound if it has just been removed
  Result<void> unpin(const std::string& owner);   // absent is fine
  Result<std::vector<std::string>> pin_owners();  // for recovery: unpin those that are no more
  Result<std::vector<std::string>> pin_owners_of(const Digest& manifest);

  // --- garbage ---
  // Removes blobs and layers that no image and no live lease needs, and files without rows.
  Result<GcResult> gc();
  // Verifies everything: each row has its file, each file its row, every digest is right. Gives one line a
  // problem.
  Result<std::vector<std::string>> check();

 private:
  friend class BlobWriter;
  Store(std::string root, db::Database database) : root_(std::move(root)), database_(std::move(database)) {}
  std::string layer_path(const Digest& chain_id) const;
  Result<void> record_blob(const Digest& digest, std::uint64_t size_bytes);
  Result<bool> use_blob(const Digest& digest);
  Result<bool> adopt_stray_blob(const Descriptor& descriptor);
  Result<std::optional<ImageRecord>> find_by_name(std::string_view name);
  Result<std::optional<ImageRecord>> find_by_digest(std::string_view text);
  Result<void> record_manifest(const Descriptor& descriptor, const Manifest& manifest,
                               const ImageConfig& config);
  Result<std::int64_t> lease_horizon_ns();
  // Removes what no image needs of what was last used from `begin_ns` on and before any live lease began.
  Result<void> collect(std::int64_t begin_ns, GcResult& result);
  Result<bool> remove_blob_file(const Digest& digest);
  Result<std::uint64_t> remove_layer_files(const Digest& chain_id);
  Result<void> remove_stray_files(GcResult& result);
  std::string root_;
  db::Database database_;
};

}  // namespace berth::image

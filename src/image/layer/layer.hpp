// Layers: tar archives that become overlay-ready directories, and the way back.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "image/model/digest.hpp"
#include "sys/fd.hpp"

namespace berth::image {

// Bounds on what a hostile layer may cost. 0 means none.
struct UnpackLimits {
  std::uint64_t max_bytes = std::uint64_t{256} << 30;  // of file content, as the archive claims it
  std::uint64_t max_entries = 10'000'000;
  std::size_t max_path_bytes = 4096;
  std::size_t max_xattr_bytes = 1 << 20;  // an entry
};

// The unpacked layers below the one being unpacked, top first. Few entries need them (hard links into them,
// directories and symlinks that only they have), so they are asked for one by one, when such an entry comes.
struct ParentLayers {
  std::size_t count = 0;
  // Layer `index`'s directory, open for as long as the layer above is being unpacked. May wait until that
  // layer is there; an error ends the unpacking.
  std::function<Result<int>(std::size_t index)> root;
};

// Parents that are all there. `directories`: top first.
Result<ParentLayers> open_parents(const std::vector<std::string>& directories);

struct UnpackOptions {
  UnpackLimits limits;
  bool keep_owner = true;    // false: everything belongs to the calling user (one-user rootless stores)
  bool user_xattrs = false;  // whiteouts as user.overlay.* instead of trusted.overlay.* (rootless overlay)
  ParentLayers parents;
  std::stop_token stop;  // ends the unpacking early, with Cancelled
  std::function<void(std::uint64_t compressed_bytes)>
      progress;  // called now and then, from the unpacking thread
};

struct UnpackedLayer {
  Digest diff_id;                // of the uncompressed archive, all of it
  std::uint64_t size_bytes = 0;  // on disk
  std::uint64_t entries = 0;
};

// Unpacks the archive in `blob` (gzip, zstd or plain: told by its first bytes) into the empty directory
// `target`. Whiteouts become 0/0 character devices (or, in a user namespace, overlay's xattr whiteouts),
// opaque directories get overlay's xattr. Nothing outside `target` is ever touched, whatever the archive
// says. InvalidArgument names the entry; DataLoss for a truncated or damaged archive.
Result<UnpackedLayer> unpack_layer(int blob, const std::string& target, const UnpackOptions& options);

enum class Compression { None, Gzip, Zstd };

struct PackedLayer {
  Digest digest;   // of the bytes written
  Digest diff_id;  // of the tar within
  std::uint64_t size_bytes = 0;
};

// Writes `directory` as a layer archive to `out`, entries sorted by name, overlay's whiteouts turned back
// into OCI's .wh. files. With `plain_tree` a directory is a whole file system (no whiteouts are looked for).
Result<PackedLayer> pack_layer(const std::string& directory, int out, Compression compression,
                               bool plain_tree);

}  // namespace berth::image

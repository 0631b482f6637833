// Turns the entries of one layer archive into a directory that overlayfs can use as it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "image/layer/dir_chain.hpp"
#include "image/layer/layer.hpp"
#include "image/layer/tar_reader.hpp"

namespace berth::image {

// Holds references into `options` and `parents`. Used by one thread; not moved.
class Extractor {
 public:
  static Result<void> run(TarReader& archive, const std::string& target, const UnpackOptions& options,
                          UnpackedLayer& layer);

 private:
  Extractor(const UnpackOptions& options, const Parents& parents)
      : options_(options), parents_(parents), marks_(options.user_xattrs), writer_(options.keep_owner) {}

  Result<void> extract_all(TarReader& archive, const std::string& target, UnpackedLayer& layer);
  Result<void> check_limits(const TarEntry& entry);
  Result<void> add(const TarEntry& entry, TarReader& archive, DirChain& chain);
  Result<void> add_whiteout(std::string_view hidden, DirChain& chain);
  Result<void> add_file(const std::string& name, const TarEntry& entry, TarReader& archive, DirChain& chain);
  Result<void> add_symlink(const std::string& name, const TarEntry& entry, DirChain& chain);
  Result<void> add_node(const std::string& name, const TarEntry& entry, DirChain& chain);
  Result<void> add_hard_link(const std::vector<std::string_view>& parent, const std::string& name,
                             const TarEntry& entry, DirChain& chain);
  Result<void> copy_up(const std::string& name, DirChain& chain);
  Result<void> write_content(int file, const TarEntry& entry, TarReader& archive);

  const UnpackOptions& options_;
  const Parents& parents_;
  OverlayMarks marks_;
  MetadataWriter writer_;
  std::uint64_t entries_ = 0;
  std::uint64_t content_bytes_ = 0;
  std::uint64_t disk_bytes_ = 0;
};

}  // namespace berth::image

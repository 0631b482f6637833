// The open directories from a layer's root down to where entries are being made.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "image/layer/metadata.hpp"
#include "image/layer/parents.hpp"

namespace berth::image {

// Goes to directories of a layer below `root`, one component at a time and each below the one before, so
// nothing an archive says leads outside. Symlinks on the way are resolved as after chroot(root), also those
// that only a parent layer has; directories that are missing are made, as the parents have them.
//
// A directory's times (and, for a user who needs it, its mode) are put right when the chain leaves it: what
// is on disk is final except along the chain, and memory is bounded by kMaxDepth. Used by one thread.
class DirChain {
 public:
  static constexpr std::size_t kMaxDepth = 512;  // open directories

  static Result<DirChain> open(const std::string& root, const Parents& parents, const OverlayMarks& marks,
                               MetadataWriter& writer);

  // Goes to the directory `path` (components; "." and ".." are not among them). InvalidArgument
  // where a component is a file or symlinks lead round in a circle.
  Result<void> enter(std::span<const std::string_view> path);
  // Makes or takes over the directory `name` of the current one, with the archive's metadata.
  Result<void> set_directory(const std::string& name, const Metadata& metadata);
  // The same for the root itself; the chain is left at the root.
  Result<void> set_root(const Metadata& metadata);
  // Clears the way for a new entry: whatever the layer has at `name` of the current directory goes.
  Result<void> clear(const std::string& name);
  // Leaves all directories. The last call.
  Result<void> finish();

  int fd() const { return frames_.back().directory.get(); }
  // Where `name` of the current directory is in the layer, for a lookup in the parents.
  std::vector<std::string> path_of(const std::string& name) const;
  // Whether this layer hides what the parents have in the current directory.
  bool hides_parents() const { return frames_.back().hides_parents; }
  Result<void> make_opaque();
  std::uint64_t made() const { return made_; }          // directories
  std::uint64_t replaced() const { return replaced_; }  // entries cleared away

 private:
  struct Frame {
    std::string name;
    sys::Fd directory;
    timespec mtime{};
    mode_t mode = 0;
    bool mode_widened = false;
    bool hides_parents = false;
  };

  DirChain(const Parents& parents, const OverlayMarks& marks, MetadataWriter& writer);
  Result<void> leave_to(std::size_t depth);
  // Steps into `name`; a symlink's target instead where it is one.
  Result<std::optional<std::string>> step(const std::string& name);
  Result<std::optional<std::string>> step_over_file(const std::string& name);
  Result<std::optional<std::string>> step_into_missing(const std::string& name);
  Result<void> push(const std::string& name, sys::Fd directory, bool fresh);
  Result<void> make(const std::string& name, const Metadata& metadata, bool opaque);
  Result<void> apply(const Metadata& metadata, bool fresh);
  Result<sys::Fd> open_directory(const std::string& name);
  Result<void> imply_root();

  const Parents* parents_;
  const OverlayMarks* marks_;
  MetadataWriter* writer_;
  bool privileged_;
  bool root_described_ = false;
  std::uint64_t made_ = 0;
  std::uint64_t replaced_ = 0;
  std::vector<Frame> frames_;
};

}  // namespace berth::image

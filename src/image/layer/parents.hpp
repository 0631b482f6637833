// The unpacked layers below the one being unpacked, seen as overlayfs would merge them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "image/layer/layer.hpp"
#include "image/layer/overlay.hpp"
#include "sys/entry.hpp"

namespace berth::image {

// Holds a reference into `layers`. Asks for a layer only once those above it leave a question open.
class Parents {
 public:
  Parents(const ParentLayers& layers, bool user_xattrs) : layers_(layers), marks_(user_xattrs) {}

  struct Found {
    sys::Fd directory;  // that holds it
    std::string name;
    struct stat info {};
  };
  // What the merged layers have at `path` (plain components; none on the way is followed if it is a symlink).
  Result<std::optional<Found>> find(std::span<const std::string> path) const;
  // The uppermost parent: the merged root directory's own metadata comes from it. Not to be asked of none.
  Result<int> top() const { return layers_.root(0); }
  bool empty() const { return layers_.count == 0; }

 private:
  enum class Verdict { Found, Hidden, Below };  // Below: this layer says nothing, a lower one may
  Result<Verdict> look(int root, std::span<const std::string> path, Found& found) const;

  const ParentLayers& layers_;
  OverlayMarks marks_;
};

}  // namespace berth::image

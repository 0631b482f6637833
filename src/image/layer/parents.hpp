// The unpacked layers below the one being unpacked, seen as overlayfs would merge them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "image/layer/overlay.hpp"
#include "sys/entry.hpp"

namespace berth::image {

class Parents {
 public:
  // `directories`: top first.
  static Result<Parents> open(const std::vector<std::string>& directories, bool user_xattrs);

  struct Found {
    sys::Fd directory;  // that holds it
    std::string name;
    struct stat info {};
  };
  // What the merged layers have at `path` (plain components; none on the way is followed if it is a symlink).
  Result<std::optional<Found>> find(std::span<const std::string> path) const;
  // The merged root directory's own metadata comes from the uppermost parent; -1 where there is none.
  int top() const { return roots_.empty() ? -1 : roots_.front().get(); }
  bool empty() const { return roots_.empty(); }

 private:
  enum class Verdict { Found, Hidden, Below };  // Below: this layer says nothing, a lower one may
  explicit Parents(bool user_xattrs) : marks_(user_xattrs) {}
  Result<Verdict> look(int root, std::span<const std::string> path, Found& found) const;

  OverlayMarks marks_;
  std::vector<sys::Fd> roots_;
};

}  // namespace berth::image

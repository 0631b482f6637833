#include "image/layer/parents.hpp"

#include <memory>

namespace berth::image {

Result<ParentLayers> open_parents(const std::vector<std::string>& directories) {
  auto roots = std::make_shared<std::vector<sys::Fd>>();
  for (const std::string& directory : directories) {
    roots->push_back(TRY_DURING("cannot open a parent layer", sys::open(directory, O_RDONLY | O_DIRECTORY)));
  }
  return ParentLayers{roots->size(),
                      [roots](std::size_t index) { return Result<int>((*roots)[index].get()); }};
}

Result<std::optional<Parents::Found>> Parents::find(std::span<const std::string> path) const {
  for (std::size_t i = 0; i < layers_.count; ++i) {
    Found found;
    switch (TRY(look(TRY(layers_.root(i)), path, found))) {
      case Verdict::Found:
        return std::optional(std::move(found));
      case Verdict::Hidden:
        return std::optional<Found>{};
      case Verdict::Below:
        break;
    }
  }
  return std::optional<Found>{};
}

Result<Parents::Verdict> Parents::look(int root, std::span<const std::string> path, Found& found) const {
  sys::Fd directory = TRY(sys::open_at(root, ".", O_RDONLY | O_DIRECTORY));
  bool opaque = TRY(marks_.is_opaque(directory.get()));
  for (std::size_t i = 0; i < path.size(); ++i) {
    const auto info = TRY(sys::find_at(directory.get(), path[i]));
    if (!info) return opaque ? Verdict::Hidden : Verdict::Below;
    if (TRY(marks_.is_whiteout(directory.get(), path[i], *info))) return Verdict::Hidden;
    if (i + 1 == path.size()) {
      found = {std::move(directory), path[i], *info};
      return Verdict::Found;
    }
    if (!S_ISDIR(info->st_mode)) return Verdict::Hidden;
    directory = TRY(sys::open_at(directory.get(), path[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    opaque = opaque || TRY(marks_.is_opaque(directory.get()));
  }
  return Verdict::Below;
}

}  // namespace berth::image

// export: all layers as one tree. Overlay composes them, on a mount that is never attached anywhere, so it
// goes away with its descriptor even after a kill.
#include <fmt/core.h>

#include "image/archive/save.hpp"
#include "image/layer/layer.hpp"
#include "sys/mount.hpp"
#include "sys/user_map.hpp"

namespace berth::image {

Result<void> export_root(Store& store, const ImageRecord& image, int out) {
  const ResolvedImage resolved = TRY(store.resolve(image));
  const Lease lease = TRY(store.lease());
  const std::string empty = TRY(store.make_work_dir(lease));  // overlay wants two directories at least
  std::vector<sys::FsOption> options{{"source", "berth"}};
  if (sys::in_user_namespace()) options.push_back({"userxattr", nullptr});
  for (const std::string& layer : resolved.layers) options.push_back({"lowerdir+", layer.c_str()});
  options.push_back({"lowerdir+", empty.c_str()});
  if (resolved.layers.empty()) options.push_back({"lowerdir+", empty.c_str()});
  const sys::Fd root = TRY_DURING("cannot put the layers together", sys::make_mount("overlay", options, 0));
  TRY(pack_layer(fmt::format("/proc/self/fd/{}/.", root.get()), out, Compression::None, true));
  return {};
}

}  // namespace berth::image

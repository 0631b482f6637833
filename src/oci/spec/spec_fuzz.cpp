// config.json comes from bundles that others made: any text gives a configuration that holds what later steps
// rely on, or an error that says something.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "oci/spec/spec.hpp"

namespace berth::oci {
namespace {

void check(const Spec& spec) {
  BERTH_ASSERT(spec.process.cwd.starts_with('/'));
  for (const auto& mount : spec.mounts) BERTH_ASSERT(mount.destination.starts_with('/'));
  for (const Device& device : spec.platform.devices) BERTH_ASSERT(device.path.starts_with('/'));
  for (const std::string& path : spec.platform.masked_paths) BERTH_ASSERT(path.starts_with('/'));
  for (std::size_t stage = 0; stage < kHookStages.size(); ++stage) {
    for (const Hook& hook : spec.hooks.of(static_cast<HookStage>(stage)))
      BERTH_ASSERT(hook.path.starts_with('/') && !hook.args.empty() && hook.timeout_s >= 0);
  }
  const auto& namespaces = spec.platform.namespaces.list;
  for (const Namespace& one : namespaces) BERTH_ASSERT(spec.platform.namespaces.find(one.kind) == &one);
  const std::string& subgroup = spec.wishes.systemd_subgroup;
  BERTH_ASSERT(subgroup.find('/') == std::string::npos && subgroup != "..");
}

}  // namespace
}  // namespace berth::oci

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto spec = berth::oci::Spec::parse({reinterpret_cast<const char*>(data), size});
  if (spec)
    berth::oci::check(*spec);
  else
    BERTH_ASSERT(!spec.error().message.empty());
  return 0;
}

// Device nodes: the default ones and those of the configuration.
#include <sched.h>

#include <algorithm>

#include "isolate/cgroup.hpp"
#include "isolate/device_nodes.hpp"
#include "oci/plan/context.hpp"
#include "sys/user_map.hpp"

namespace berth::oci {
namespace {

// Who binds a /dev of its own has filled it.
bool has_foreign_dev(const Spec& spec) {
  return std::any_of(spec.mounts.begin(), spec.mounts.end(), [](const isolate::MountRequest& mount) {
    return mount.options.bind && (mount.destination == "/dev" || mount.destination == "/dev/");
  });
}

isolate::DeviceNode node_of(const Device& device) {
  return {device.path, device.type, device.major, device.minor, device.mode, device.uid, device.gid};
}

}  // namespace

std::vector<sys::DeviceRule> device_rules(const Spec& spec) {
  std::vector<sys::DeviceRule> rules = spec.platform.resources.devices;
  const auto& customary = isolate::customary_device_rules();
  rules.insert(rules.end(), customary.begin(), customary.end());
  return rules;
}

Result<void> plan_devices(const Creation& creation, isolate::LaunchPlan& plan) {
  const Spec& spec = creation.spec;
  if (has_foreign_dev(spec)) return {};
  const bool may_mknod = spec.platform.namespaces.find(CLONE_NEWUSER) == nullptr && !sys::in_user_namespace();
  const auto& own = spec.platform.devices;
  for (const isolate::DeviceNode& node : isolate::default_device_nodes()) {
    const bool replaced =
        std::any_of(own.begin(), own.end(), [&](const Device& device) { return device.path == node.path; });
    if (!replaced) TRY(isolate::add_device_node(plan, node, may_mknod));
  }
  for (const Device& device : own)
    TRY_DURING("linux.devices", isolate::add_device_node(plan, node_of(device), may_mknod));
  isolate::add_device_links(plan);
  return {};
}

}  // namespace berth::oci

// The mounts of the configuration, in its order, and the control group, which the container enters as late as
// its mounts allow: what making them takes is not counted against its limits.
#include <fmt/core.h>
#include <sched.h>

#include <algorithm>

#include "isolate/cgroup_mounts.hpp"
#include "oci/plan/context.hpp"
#include "sys/process.hpp"

namespace berth::oci {
namespace {

bool is_cgroup(const isolate::MountRequest& mount) {
  return (mount.type == "cgroup" || mount.type == "cgroup2") && !mount.options.bind && !mount.options.remount;
}

// New file systems whose files have no labels of their own.
bool takes_label(const isolate::MountRequest& mount) {
  return !mount.options.bind && !mount.options.remount && (mount.type == "tmpfs" || mount.type == "devpts");
}

void enter_cgroup(const Creation& creation, isolate::LaunchPlan& plan) {
  if (creation.cgroup != nullptr) {
    plan.ask("enter the control group", [group = creation.cgroup](const isolate::ChildAtStep& child) {
      return group->attach(child.pid);
    });
  }
  if (creation.spec.platform.namespaces.is_new(CLONE_NEWCGROUP))
    plan.then("make a cgroup namespace", []() noexcept { return sys::new_namespaces(CLONE_NEWCGROUP); });
}

Result<void> add_cgroups(const Creation& creation, const isolate::MountRequest& mount,
                         isolate::LaunchPlan& plan) {
  isolate::CgroupView view;
  view.destination = mount.destination;
  view.attributes = mount.options.mount.set;
  view.own_namespace = creation.spec.platform.namespaces.find(CLONE_NEWCGROUP) != nullptr;
  TRY_DURING(mount.field, isolate::mount_cgroups(plan, view));
  return {};
}

}  // namespace

Result<void> plan_mounts(const Creation& creation, isolate::LaunchPlan& plan) {
  const Spec& spec = creation.spec;
  bool entered = false;
  for (isolate::MountRequest mount : spec.mounts) {
    if (is_cgroup(mount)) {
      if (!std::exchange(entered, true)) enter_cgroup(creation, plan);
      TRY(add_cgroups(creation, mount, plan));
      continue;
    }
    if (mount.users.empty()) mount.users = spec.platform.namespaces.uid_mappings;
    if (mount.groups.empty()) mount.groups = spec.platform.namespaces.gid_mappings;
    // A relative source is one of the bundle's (config.md, "Mounts").
    const bool relative = mount.options.bind && !mount.source.starts_with('/');
    if (relative) mount.source = fmt::format("{}/{}", creation.state.bundle, mount.source);
    if (takes_label(mount) && !spec.platform.mount_label.empty())
      mount.options.data.emplace_back(spec.wishes.mount_context, spec.platform.mount_label);
    TRY(isolate::add_mount(plan, std::move(mount)));
  }
  if (!entered) enter_cgroup(creation, plan);
  return {};
}

}  // namespace berth::oci

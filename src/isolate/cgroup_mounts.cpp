#include "isolate/cgroup_mounts.hpp"

#include <fmt/core.h>
#include <sys/mount.h>
#include <unistd.h>

#include "base/text.hpp"
#include "isolate/cgroup.hpp"
#include "isolate/host_mount.hpp"
#include "isolate/mount_steps.hpp"

namespace berth::isolate {
namespace {

using Hierarchy = sys::CgroupHost::Hierarchy;

constexpr std::string_view kName = "name=";

// "name=systemd"
bool is_named(const Hierarchy& hierarchy) { return hierarchy.controllers.front().starts_with(kName); }

// The directory of the plan's group below `mount_point`; the mount point where it has none there.
std::string group_below(const LaunchPlan& plan, const std::string& mount_point) {
  if (!plan.cgroup) return mount_point;
  for (const std::string& directory : plan.cgroup->directories()) {
    if (directory.starts_with(mount_point + "/")) return directory;
  }
  return mount_point;
}

Result<void> show_host_directory(LaunchPlan& plan, const std::string& directory, const std::string& target,
                                 std::uint64_t attributes) {
  HostMount wanted{.path = directory, .changes = {{false, {attributes, 0}, MS_PRIVATE}}};
  attach_copy(plan, TRY(copy_host_mount(plan, std::move(wanted), target)), target,
              sys::TargetKind::Directory);
  return {};
}

Result<void> mount_v1(LaunchPlan& plan, const CgroupView& view, const Hierarchy& hierarchy,
                      const std::string& target) {
  if (!view.own_namespace)
    return show_host_directory(plan, group_below(plan, hierarchy.mount_point), target, view.attributes);
  std::vector<std::pair<std::string, std::string>> options;
  for (const std::string& controller : hierarchy.controllers) {
    if (is_named(hierarchy)) options.emplace_back("none", "");
    const auto equals = std::min(controller.find('='), controller.size());
    options.emplace_back(controller.substr(0, equals),
                         controller.substr(std::min(equals + 1, controller.size())));
  }
  mount_new(plan, {"cgroup", target, std::move(options), view.attributes});
  return {};
}

void link_controllers(LaunchPlan& plan, const CgroupView& view, const Hierarchy& hierarchy,
                      const std::string& name) {
  if (hierarchy.controllers.size() < 2) return;
  for (const std::string& controller : hierarchy.controllers) {
    const std::string path = view.destination + "/" + controller;
    plan.then(fmt::format("link {} to {}", path, name),
              [name, path]() noexcept { return ::symlink(name.c_str(), path.c_str()) == 0 ? 0 : errno; });
  }
}

// Once everything stands on it.
void close_tmpfs(LaunchPlan& plan, const CgroupView& view) {
  if ((view.attributes & attr::kReadOnly) == 0) return;
  plan.then(fmt::format("make {} read-only", view.destination), [path = view.destination]() noexcept {
    return sys::change_mount_at(path.c_str(), false, attr::kReadOnly, 0, 0);
  });
}

}  // namespace

Result<void> mount_cgroups(LaunchPlan& plan, const CgroupView& view) {
  const sys::CgroupHost& host = *TRY(cgroup_host());
  if (host.mode == sys::CgroupMode::V2) {
    if (!view.own_namespace)
      return show_host_directory(plan, group_below(plan, host.v2_mount), view.destination, view.attributes);
    mount_new(plan, {"cgroup2", view.destination, {}, view.attributes});
    return {};
  }
  if (host.v1.empty()) return {};
  mount_new(plan, {"tmpfs", view.destination, {{"mode", "0755"}}, view.attributes & ~attr::kReadOnly});
  for (const Hierarchy& hierarchy : host.v1) {
    const bool named = is_named(hierarchy);
    if (named && group_below(plan, hierarchy.mount_point) == hierarchy.mount_point) continue;  // the host's
    const std::string name =
        named ? hierarchy.controllers.front().substr(kName.size()) : join(hierarchy.controllers, ",");
    TRY(mount_v1(plan, view, hierarchy, view.destination + "/" + name));
    link_controllers(plan, view, hierarchy, name);
  }
  close_tmpfs(plan, view);
  return {};
}

}  // namespace berth::isolate

// The root file system: entered before anything is mounted in it, made the only one when all is.
#include <fmt/core.h>
#include <sys/mount.h>

#include "isolate/mount_steps.hpp"
#include "oci/plan/context.hpp"
#include "sys/mount.hpp"
#include "sys/root.hpp"

namespace berth::oci {
namespace {

bool takes_part_in_propagation(const Spec& spec) {
  const auto& change = spec.platform.root_propagation;
  return change && (change->kind == MS_SHARED || change->kind == MS_SLAVE);
}

// A copy of the root's mount, so that attributes and mounts in it are the container's own.
Result<sys::Fd> copy_root(const Creation& creation) {
  const std::string& path = creation.state.root;
  if (!takes_part_in_propagation(creation.spec)) return isolate::clone_host_path(path, true);
  const sys::Fd opened = TRY(sys::open(path, O_PATH | O_DIRECTORY));
  return isolate::clone_host_file(opened.get(), true, path);
}

}  // namespace

Result<void> plan_root(const Creation& creation, isolate::LaunchPlan& plan) {
  plan.root = TRY_DURING("root.path", copy_root(creation));
  plan.then("make mounts private",
            []() noexcept { return sys::change_mount_at("/", true, 0, 0, MS_PRIVATE); });
  plan.host_root = std::make_shared<int>(-1);
  plan.then(fmt::format("enter the root directory {}", creation.state.root),
            [root = plan.root.get(), place = creation.state.root, host = plan.host_root]() noexcept {
              return sys::enter_root(root, place.c_str(), host.get());
            });
  return {};
}

Result<void> plan_leaving(const Creation& creation, isolate::LaunchPlan& plan) {
  plan.then("change the root directory", [host = plan.host_root, pivot = creation.options.pivot]() noexcept {
    return sys::leave_host_root(*host, pivot);
  });
  if (const auto& change = creation.spec.platform.root_propagation) {
    plan.then("set linux.rootfsPropagation", [change = *change]() noexcept {
      return sys::change_mount_at("/", change.recursive, 0, 0, change.kind);
    });
  }
  return {};
}

}  // namespace berth::oci

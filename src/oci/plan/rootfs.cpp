// The root file system: entered before anything is mounted in it, made the only one when all is.
#include <fmt/core.h>
#include <sys/mount.h>

#include "isolate/host_mount.hpp"
#include "oci/plan/context.hpp"
#include "sys/mount.hpp"
#include "sys/root.hpp"

namespace berth::oci {
namespace {

// What the copy is until the root has been changed to it, which a shared one cannot be. Only a slave has to
// do with the host's mount: a shared root begins a peer group of its own (config-linux.md, "Rootfs Mount
// Propagation").
std::uint64_t first_propagation(const Spec& spec) {
  const auto& change = spec.platform.root_propagation;
  return change && change->kind == MS_SLAVE ? MS_SLAVE : MS_PRIVATE;
}

}  // namespace

Result<void> plan_root(const Creation& creation, isolate::LaunchPlan& plan) {
  const std::string& path = creation.state.root;
  plan.root = TRY_DURING("root.path", sys::open_without_symlinks(path));
  // A copy of its mount, so that attributes and mounts in it are the container's own.
  isolate::HostMount wanted{.path = path,
                            .recursive = true,
                            .plain = true,
                            .changes = {{true, {}, first_propagation(creation.spec)}}};
  const auto copy = TRY(isolate::copy_host_mount(plan, std::move(wanted), "root.path"));
  plan.then("make mounts private",
            []() noexcept { return sys::change_mount_at("/", true, 0, 0, MS_PRIVATE); });
  plan.host_root = std::make_shared<int>(-1);
  plan.then(fmt::format("enter the root directory {}", path),
            [copy, place = path, host = plan.host_root]() noexcept {
              return sys::enter_root(copy->get(), place.c_str(), host.get());
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

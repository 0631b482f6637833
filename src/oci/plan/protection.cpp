// What of the kernel's interfaces the container may see and set: sysctls, masked and read-only paths, the
// root.
#include <sched.h>

#include "isolate/identity.hpp"
#include "isolate/kernel_settings.hpp"
#include "isolate/masks.hpp"
#include "isolate/mount_steps.hpp"
#include "oci/plan/context.hpp"

namespace berth::oci {
namespace {

isolate::SysctlScope scope_of(const Namespaces& namespaces) {
  return {.ipc = namespaces.find(CLONE_NEWIPC) != nullptr,
          .network = namespaces.find(CLONE_NEWNET) != nullptr,
          .uts = namespaces.find(CLONE_NEWUTS) != nullptr};
}

}  // namespace

Result<void> plan_protection(const Creation& creation, isolate::LaunchPlan& plan) {
  const Linux& platform = creation.spec.platform;
  for (const auto& [key, value] : platform.sysctls)
    TRY(isolate::add_sysctl(plan, key, value, scope_of(platform.namespaces), "linux.sysctl"));
  for (const std::string& path : platform.read_only_paths) isolate::make_path_read_only(plan, path);
  for (const std::string& path : platform.masked_paths) isolate::mask_path(plan, path);
  if (creation.spec.process.cwd != "/") isolate::make_working_directory(plan, creation.spec.process.cwd);
  if (creation.spec.root_read_only) {
    plan.then("make the root file system read-only",
              []() noexcept { return sys::change_mount_at("/", false, isolate::attr::kReadOnly, 0, 0); });
  }
  return {};
}

}  // namespace berth::oci

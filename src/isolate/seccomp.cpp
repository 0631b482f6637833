// No new privileges, and the system call filter.
#include "isolate/seccomp.hpp"

#include "isolate/every_process.hpp"
#include "isolate/seccomp_profile.hpp"
#include "sys/capability.hpp"
#include "sys/paths.hpp"
#include "sys/process.hpp"

namespace berth::isolate {
namespace {

bool sets_no_new_privileges(const UnitConfig& config) {
  return config.no_new_privileges && !config.privileged;
}

Result<void> add_configured_no_new_privileges(const UnitConfig& config, LaunchPlan& plan) {
  if (sets_no_new_privileges(config)) add_no_new_privileges(plan);
  return {};
}

Result<void> add_configured_filter(const UnitConfig& config, LaunchPlan& plan) {
  TRY(add_configured_no_new_privileges(config, plan));
  if (config.privileged || config.seccomp == "unconfined") return {};
  const auto held = config.userns ? sys::all_capabilities() : sys::held_capabilities();
  const auto capabilities =
      TRY(sys::resolve_capabilities(config.cap_add, config.cap_drop, config.privileged, held));
  return add_filter(plan, TRY(seccomp_profile_for(config.seccomp, capabilities)),
                    sets_no_new_privileges(config));
}

}  // namespace

void add_no_new_privileges(LaunchPlan& plan) {
  plan.finally("set no-new-privileges", sys::set_no_new_privileges);
}

Result<void> add_filter(LaunchPlan& plan, const sys::SeccompProfile& profile, bool no_new_privileges) {
  // A cache only: as well lost at the next boot.
  auto program = TRY(sys::cached_seccomp(profile, TRY(sys::find_paths("")).run + "/seccomp"));
  auto step = LaunchPlan::make_step(
      "install the system call filter",
      [program = std::move(program)]() noexcept { return sys::install_seccomp(program); });
  if (no_new_privileges)
    plan.last.push_back(std::move(step));
  else
    plan.lockdown.insert(plan.lockdown.begin(), std::move(step));
  return {};
}

const Isolator& no_new_privileges_isolator() {
  static const EveryProcess isolator("no-new-privileges", add_configured_no_new_privileges);
  return isolator;
}
const Isolator& seccomp_isolator() {
  static const EveryProcess isolator("seccomp", add_configured_filter);
  return isolator;
}

}  // namespace berth::isolate

// No new privileges, and the system call filter.
#include <memory>

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

Result<void> add_no_new_privileges(const UnitConfig& config, LaunchPlan& plan) {
  if (sets_no_new_privileges(config)) plan.finally("set no-new-privileges", sys::set_no_new_privileges);
  return {};
}

Result<std::unique_ptr<ChildStep>> install_step(const UnitConfig& config) {
  const auto held = config.userns ? sys::all_capabilities() : sys::held_capabilities();
  const auto capabilities =
      TRY(sys::resolve_capabilities(config.cap_add, config.cap_drop, config.privileged, held));
  const auto profile = TRY(seccomp_profile_for(config.seccomp, capabilities));
  // A cache only: as well lost at the next boot.
  auto program = TRY(sys::cached_seccomp(profile, TRY(sys::find_paths("")).run + "/seccomp"));
  const auto body = [program = std::move(program)]() noexcept { return sys::install_seccomp(program); };
  return std::unique_ptr<ChildStep>(
      std::make_unique<CallStep<decltype(body)>>("install the system call filter", body));
}

Result<void> add_filter(const UnitConfig& config, LaunchPlan& plan) {
  TRY(add_no_new_privileges(config, plan));
  if (config.privileged || config.seccomp == "unconfined") return {};
  auto step = TRY(install_step(config));
  // Without no-new-privileges installing takes CAP_SYS_ADMIN, so it comes before any privilege is given away.
  const auto place = sets_no_new_privileges(config) ? plan.lockdown.end() : plan.lockdown.begin();
  plan.lockdown.insert(place, std::move(step));
  return {};
}

}  // namespace

const Isolator& no_new_privileges_isolator() {
  static const EveryProcess isolator("no-new-privileges", add_no_new_privileges);
  return isolator;
}
const Isolator& seccomp_isolator() {
  static const EveryProcess isolator("seccomp", add_filter);
  return isolator;
}

}  // namespace berth::isolate

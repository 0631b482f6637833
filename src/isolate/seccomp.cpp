// No new privileges, and the system call filter.
#include "isolate/seccomp.hpp"

#include <memory>

#include "isolate/every_process.hpp"
#include "isolate/seccomp_profile.hpp"
#include "sys/capability.hpp"
#include "sys/paths.hpp"
#include "sys/process.hpp"
#include "sys/seccomp_listener.hpp"

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

// The launcher waits for the descriptor while the child, which must make no call between, installs the
// filter.
Result<void> add_listening_filter(LaunchPlan& plan, sys::SeccompProgram program, bool no_new_privileges,
                                  HandOver hand_over) {
  BERTH_ASSERT(hand_over);
  const auto listener = std::make_shared<sys::SeccompListener>(TRY(sys::SeccompListener::create()));
  auto take = [listener, hand_over = std::move(hand_over)](const ChildAtStep& child) -> Result<void> {
    const sys::Fd descriptor = TRY(listener->take(child.pidfd));
    return hand_over(child.pid, descriptor.get());
  };
  auto step = plan.while_asking(
      "install the system call filter", std::move(take),
      [listener, program = std::move(program)]() noexcept { return listener->install(program); });
  plan.lockdown.insert(no_new_privileges ? plan.lockdown.end() : plan.lockdown.begin(), std::move(step));
  return {};
}

}  // namespace

void add_no_new_privileges(LaunchPlan& plan) {
  plan.finally("set no-new-privileges", sys::set_no_new_privileges);
}

Result<void> add_filter(LaunchPlan& plan, const sys::SeccompProfile& profile, bool no_new_privileges,
                        HandOver hand_over) {
  // A cache only: as well lost at the next boot.
  auto program = TRY(sys::cached_seccomp(profile, TRY(sys::find_paths("")).run + "/seccomp"));
  if (program.listens())
    return add_listening_filter(plan, std::move(program), no_new_privileges, std::move(hand_over));
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

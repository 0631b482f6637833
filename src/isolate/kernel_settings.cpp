// Names, numbers and limits that the kernel keeps for a unit: hostname, loopback, sysctls, rlimits.
#include "isolate/kernel_settings.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.hpp"
#include "isolate/every_process.hpp"
#include "sys/capability.hpp"
#include "sys/process.hpp"
#include "sys/rlimit.hpp"
#include "sys/sysctl.hpp"

namespace berth::isolate {
namespace {

class Hostname final : public Isolator {
 public:
  std::string_view name() const override { return "hostname"; }
  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    const std::string& hostname = instance.config.hostname;
    if (hostname.empty()) return {};
    plan.env.push_back("HOSTNAME=" + hostname);
    plan.then("set the hostname",
              [hostname]() noexcept { return sys::set_hostname(hostname.data(), hostname.size()); });
    return {};
  }
};

class Network final : public Isolator {
 public:
  std::string_view name() const override { return "network"; }
  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    if (instance.config.network == NetworkMode::None)
      plan.then("bring up the loopback interface", sys::bring_up_loopback);
    return {};
  }
};

// The sysctls that a namespace of its own keeps away from the host (runc and Docker agree on the list; the
// kernel's Documentation/admin-guide/sysctl).
bool is_own(std::string_view path, const SysctlScope& scope) {
  if (scope.everything) return true;
  if (path.starts_with("net/")) return scope.network;
  if (path == "kernel/domainname" || path == "kernel/hostname") return scope.uts;
  const bool ipc = path.starts_with("kernel/msg") || path.starts_with("kernel/shm") || path == "kernel/sem" ||
                   path.starts_with("fs/mqueue/");
  return ipc && scope.ipc;
}

SysctlScope scope_of(const UnitConfig& config) {
  return {.ipc = true, .network = config.owns_network(), .everything = config.privileged};
}

class Sysctl final : public Isolator {
 public:
  std::string_view name() const override { return "sysctl"; }
  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    for (const auto& [key, value] : instance.config.sysctls)
      TRY(add_sysctl(plan, key, value, scope_of(instance.config), "--sysctl"));
    return {};
  }
};

Result<void> add_rlimits(const UnitConfig& config, LaunchPlan& plan) {
  for (const Rlimit& wanted : config.rlimits) TRY(add_rlimit(plan, wanted, "--ulimit"));
  return {};
}

Result<sys::RlimitPair> clamp(int resource, const Rlimit& wanted, std::string_view field) {
  sys::RlimitPair limit{wanted.soft, wanted.hard};
  const auto present = TRY(sys::get_rlimit(resource));
  const bool may_raise = (sys::held_capabilities() & sys::capability_bit(24)) != 0;  // CAP_SYS_RESOURCE
  if (may_raise || limit.hard <= present.hard) return limit;
  log::warn(
      "{} {}: {} is above the hard limit of {}, which this machine does not let berth raise; using that",
      field, wanted.name, limit.hard, present.hard);
  return sys::RlimitPair{std::min(limit.soft, present.hard), present.hard};
}

}  // namespace

Result<void> add_sysctl(LaunchPlan& plan, const std::string& key, const std::string& value,
                        const SysctlScope& scope, std::string_view field) {
  const std::string path = TRY_DURING(field, sys::sysctl_path(key));
  if (!is_own(path, scope)) {
    const char* why = path.starts_with("net/") ? "it would change the host's network (--network host)"
                                               : "it is not confined to the unit's namespaces";
    return fail(Code::InvalidArgument, fmt::format("{} {}: {}", field, key, why));
  }
  plan.then(fmt::format("set sysctl {}", key),
            [path, value]() noexcept { return sys::write_sysctl(path.c_str(), value.data(), value.size()); });
  return {};
}

Result<void> add_rlimit(LaunchPlan& plan, const Rlimit& wanted, std::string_view field) {
  const int resource = TRY(sys::rlimit_number(wanted.name));
  const auto limit = TRY(clamp(resource, wanted, field));
  plan.finally(fmt::format("set {} {}", field, wanted.name),
               [resource, limit]() noexcept { return sys::set_rlimit(resource, limit); });
  return {};
}

const Isolator& hostname_isolator() {
  static const Hostname isolator;
  return isolator;
}
const Isolator& network_isolator() {
  static const Network isolator;
  return isolator;
}
const Isolator& sysctl_isolator() {
  static const Sysctl isolator;
  return isolator;
}
const Isolator& rlimits_isolator() {
  static const EveryProcess isolator("rlimits", add_rlimits);
  return isolator;
}

}  // namespace berth::isolate

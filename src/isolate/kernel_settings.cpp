// Names, numbers and limits that the kernel keeps for a unit: hostname, loopback, sysctls, rlimits.
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "isolate/isolator.hpp"
#include "sys/capability.hpp"
#include "sys/process.hpp"
#include "sys/rlimit.hpp"

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

// The sysctls that a namespace of its own keeps away from the host (Docker's list; kernel's
// Documentation/admin-guide).
Result<void> check_sysctl(const UnitConfig& config, const std::string& key) {
  const bool ipc = key.starts_with("kernel.msg") || key.starts_with("kernel.shm") || key == "kernel.sem" ||
                   key.starts_with("fs.mqueue.");
  const bool network = key.starts_with("net.") && config.network == NetworkMode::None;
  if (ipc || network || config.privileged) return {};
  const char* why = key.starts_with("net.") ? "it would change the host's network (--network host)"
                                            : "it is not confined to the unit's namespaces";
  return fail(Code::InvalidArgument, fmt::format("--sysctl {}: {}", key, why));
}

int write_setting(const char* path, const std::string& value) noexcept {
  const sys::Fd fd(::open(path, O_WRONLY | O_CLOEXEC));
  if (!fd) return errno;
  return ::write(fd.get(), value.data(), value.size()) < 0 ? errno : 0;
}

class Sysctl final : public Isolator {
 public:
  std::string_view name() const override { return "sysctl"; }
  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    for (const auto& [key, value] : instance.config.sysctls) {
      TRY(check_sysctl(instance.config, key));
      std::string path = "/proc/sys/" + key;
      std::replace(path.begin(), path.end(), '.', '/');
      if (path.find("//") != std::string::npos || key.find('/') != std::string::npos) {
        return fail(Code::InvalidArgument, fmt::format("--sysctl {}: not a sysctl name", key));
      }
      plan.then(fmt::format("set sysctl {}", key),
                [path, value = value]() noexcept { return write_setting(path.c_str(), value); });
    }
    return {};
  }
};

class Rlimits final : public Isolator {
 public:
  std::string_view name() const override { return "rlimits"; }
  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    return add(instance.config, plan);
  }
  Result<void> prepare_exec(const ExecTarget& target, LaunchPlan& plan) const override {
    return add(target.config, plan);
  }

 private:
  static Result<void> add(const UnitConfig& config, LaunchPlan& plan) {
    for (const Rlimit& wanted : config.rlimits) {
      const int resource = TRY(sys::rlimit_number(wanted.name));
      const auto limit = TRY(clamp(resource, wanted));
      plan.finally(fmt::format("set --ulimit {}", wanted.name),
                   [resource, limit]() noexcept { return sys::set_rlimit(resource, limit); });
    }
    return {};
  }

  // Without CAP_SYS_RESOURCE a hard limit can only go down: goes as far as it can, and says so.
  static Result<sys::RlimitPair> clamp(int resource, const Rlimit& wanted) {
    sys::RlimitPair limit{wanted.soft, wanted.hard};
    const auto present = TRY(sys::get_rlimit(resource));
    const bool may_raise = (sys::held_capabilities() & sys::capability_bit(24)) != 0;  // CAP_SYS_RESOURCE
    if (may_raise || limit.hard <= present.hard) return limit;
    log::warn(
        "--ulimit {}: {} is above the hard limit of {}, which this machine does not let berth raise; using "
        "that",
        wanted.name, limit.hard, present.hard);
    return sys::RlimitPair{std::min(limit.soft, present.hard), present.hard};
  }
};

}  // namespace

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
  static const Rlimits isolator;
  return isolator;
}

}  // namespace berth::isolate

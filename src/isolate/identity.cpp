// Who the workload runs as and with which privileges: user, capabilities, session.
#include "isolate/identity.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "isolate/every_process.hpp"
#include "isolate/process_attributes.hpp"
#include "isolate/user.hpp"
#include "sys/capability.hpp"
#include "sys/mount_target.hpp"
#include "sys/process.hpp"

namespace berth::isolate {
namespace {

bool has_variable(const std::vector<std::string>& env, std::string_view name) {
  return std::any_of(env.begin(), env.end(), [&](const std::string& variable) {
    return variable.starts_with(name) && variable.size() > name.size() && variable[name.size()] == '=';
  });
}

void set_default(LaunchPlan& plan, std::string_view name, std::string_view value) {
  if (!has_variable(plan.env, name)) plan.env.push_back(fmt::format("{}={}", name, value));
}

Result<void> resolve(const UnitConfig& config, LaunchPlan& plan) {
  sys::Fd host;
  if (!plan.root) host = TRY(sys::open("/", O_PATH | O_DIRECTORY));
  plan.credentials = TRY(resolve_user(plan.root ? plan.root.get() : host.get(), config.user));
  set_default(plan, "HOME", plan.credentials.home);
  return {};
}

void change_user(LaunchPlan& plan) {
  const Credentials& who = plan.credentials;
  plan.finally(fmt::format("become user {}:{}", who.uid, who.gid), [&who]() noexcept {
    return sys::set_user(who.uid, who.gid, who.groups.data(), who.groups.size(),
                         !who.keep_groups && sys::may_set_groups());
  });
}

Result<void> add_change_of_user(const UnitConfig&, LaunchPlan& plan) {
  change_user(plan);
  return {};
}

Result<void> add_capabilities(const UnitConfig& config, LaunchPlan& plan) {
  // A new user namespace starts with all capabilities (over itself), whatever its maker holds.
  const auto held = config.userns ? sys::all_capabilities() : sys::held_capabilities();
  const auto mask = TRY(sys::resolve_capabilities(config.cap_add, config.cap_drop, config.privileged, held));
  add_identity(plan, sys::CapabilitySets::of(mask));
  return {};
}

int change_directory(const char* path) noexcept {
  const sys::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno;
  int fd = -1;
  if (const int error = sys::open_target_in(root.get(), path, {.make = false}, &fd); error != 0) return error;
  const sys::Fd directory(fd);
  return ::fchdir(fd) != 0 ? errno : 0;
}

class Session final : public Isolator {
 public:
  std::string_view name() const override { return "session"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    plan.console = instance.stdio.tty && (plan.new_namespaces & CLONE_NEWPID) != 0;
    plan.init = instance.config.init;
    if (!instance.config.rootfs.empty() && instance.config.cwd != "/") {
      make_working_directory(plan, instance.config.cwd);
    }
    return add(instance.config, plan);
  }

  Result<void> prepare_exec(const ExecTarget& target, LaunchPlan& plan) const override {
    return add(target.config, plan);
  }

 private:
  static Result<void> add(const UnitConfig& config, LaunchPlan& plan) {
    if (config.tty) set_default(plan, "TERM", "xterm");
    enter_working_directory(plan, config.cwd);
    add_umask(plan, 022);
    return {};
  }
};

}  // namespace

void add_identity(LaunchPlan& plan, const sys::CapabilitySets& sets) {
  plan.finally("drop capabilities from the bounding set",
               [mask = sets.bounding]() noexcept { return sys::limit_bounding_set(mask); });
  plan.finally("keep capabilities for now", []() noexcept { return sys::keep_capabilities_across_setuid(); });
  change_user(plan);
  plan.finally("set capabilities", [sets]() noexcept { return sys::set_capabilities(sets); });
}

void make_working_directory(LaunchPlan& plan, const std::string& path) {
  plan.then(fmt::format("make the working directory {}", path), [path]() noexcept {
    int fd = -1;
    const int error = sys::open_target(path.c_str(), sys::TargetKind::Directory, false, &fd);
    if (error == 0) ::close(fd);
    return error;
  });
}

void enter_working_directory(LaunchPlan& plan, const std::string& path) {
  plan.finally(fmt::format("change to the working directory {}", path),
               [path]() noexcept { return change_directory(path.c_str()); });
}

const Isolator& user_isolator() {
  static const EveryProcess isolator("user", resolve);
  return isolator;
}
const Isolator& change_user_isolator() {
  static const EveryProcess isolator("change-user", add_change_of_user);
  return isolator;
}
const Isolator& capabilities_isolator() {
  static const EveryProcess isolator("capabilities", add_capabilities);
  return isolator;
}
const Isolator& session_isolator() {
  static const Session isolator;
  return isolator;
}

}  // namespace berth::isolate

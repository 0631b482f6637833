// Which namespaces a container gets, and joining those of a running one.
#include <sched.h>

#include "isolate/isolator.hpp"
#include "sys/process.hpp"

namespace berth::isolate {
namespace {

void become_root_inside(LaunchPlan& plan) {
  plan.then("become root of the user namespace",
            []() noexcept { return sys::set_user(0, 0, nullptr, 0, true); });
}

Result<void> join(const ExecTarget& target, LaunchPlan& plan) {
  const int namespaces = TRY(sys::differing_namespaces(target.pid));
  if (namespaces == 0) return {};
  plan.joins.push_back({TRY(sys::open_pidfd(target.pid)), namespaces});
  if ((namespaces & CLONE_NEWUSER) != 0) become_root_inside(plan);
  return {};
}

class Namespaces final : public Isolator {
 public:
  std::string_view name() const override { return "namespaces"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    plan.new_namespaces |= CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
    if (instance.config.network == NetworkMode::None) plan.new_namespaces |= CLONE_NEWNET;
    if (const auto& userns = instance.config.userns) {
      plan.new_namespaces |= CLONE_NEWUSER;
      plan.uid_mappings.push_back({0, userns->host_start, userns->count});
      plan.gid_mappings = plan.uid_mappings;
      become_root_inside(plan);
    }
    // Only now, when the child is in its control group, would that group be the root of a new cgroup
    // namespace.
    plan.then("make a cgroup namespace", []() noexcept { return sys::new_namespaces(CLONE_NEWCGROUP); });
    return {};
  }

  Result<void> prepare_exec(const ExecTarget& target, LaunchPlan& plan) const override {
    return join(target, plan);
  }
};

class Join final : public Isolator {
 public:
  std::string_view name() const override { return "join"; }
  Result<void> prepare_exec(const ExecTarget& target, LaunchPlan& plan) const override {
    return join(target, plan);
  }
};

}  // namespace

const Isolator& namespaces_isolator() {
  static const Namespaces isolator;
  return isolator;
}

const Isolator& join_isolator() {
  static const Join isolator;
  return isolator;
}

}  // namespace berth::isolate

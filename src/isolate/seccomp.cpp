// No new privileges, and the system call filter.
#include "isolate/isolator.hpp"
#include "sys/process.hpp"

namespace berth::isolate {
namespace {

void add_no_new_privileges(const UnitConfig& config, LaunchPlan& plan) {
  if (config.no_new_privileges && !config.privileged)
    plan.finally("set no-new-privileges", sys::set_no_new_privileges);
}

class NoNewPrivileges : public Isolator {
 public:
  std::string_view name() const override { return "no-new-privileges"; }
  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    add_no_new_privileges(instance.config, plan);
    return {};
  }
  Result<void> prepare_exec(const ExecTarget& target, LaunchPlan& plan) const override {
    add_no_new_privileges(target.config, plan);
    return {};
  }
};

class Seccomp final : public NoNewPrivileges {
 public:
  std::string_view name() const override { return "seccomp"; }
};

}  // namespace

const Isolator& no_new_privileges_isolator() {
  static const NoNewPrivileges isolator;
  return isolator;
}
const Isolator& seccomp_isolator() {
  static const Seccomp isolator;
  return isolator;
}

}  // namespace berth::isolate

#include <array>

#include "oci/plan/context.hpp"

namespace berth::oci {
namespace {

constexpr std::array<Planner, 9> kPlanners = {
    plan_namespaces,   plan_names,   plan_root,       plan_mounts,      plan_devices,
    plan_create_hooks, plan_leaving, plan_protection, plan_start_hooks,
};

}  // namespace

Result<void> make_plan(const Creation& creation, isolate::LaunchPlan& plan) {
  plan.kept_descriptors = creation.options.listen_fds + creation.options.preserve_fds;
  for (const Planner planner : kPlanners) TRY(planner(creation, plan));
  const Spec& spec = creation.spec;
  Process first = spec.process;
  first.attributes.final_cpus.reset();  // those of further processes alone (config.md, execCPUAffinity)
  plan.credentials.keep_groups = spec.wishes.keep_groups;
  return plan_process({first, spec.platform.seccomp, creation.state, Status::Creating}, plan);
}

}  // namespace berth::oci

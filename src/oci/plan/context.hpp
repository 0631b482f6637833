// What the plan of a container is made from.
#pragma once

#include <memory>
#include <string>

#include "isolate/launch_plan.hpp"
#include "oci/spec/spec.hpp"
#include "oci/state/state.hpp"
#include "sys/cgroup.hpp"

namespace berth::oci {

struct CreateOptions {
  bool pivot = true;
  bool new_keyring = true;
  bool systemd_cgroup = false;  // the group is made by systemd, as cgroupsPath "SLICE:PREFIX:NAME" says
  int preserve_fds = 0;
  // Sockets that were handed to the runtime for the container (sd_listen_fds(3)): those from 3 on, before the
  // preserved ones.
  int listen_fds = 0;
  std::string listen_names;  // LISTEN_FDNAMES
};

struct Creation {
  const Spec& spec;
  const CreateOptions& options;
  const State& state;  // bundle and root are set
  const ContainerDir& dir;
  sys::Cgroup* cgroup;  // null: none
};

// One concern of the plan; adds data, changes nothing.
using Planner = Result<void> (*)(const Creation&, isolate::LaunchPlan&);

// All of them, in order.
Result<void> make_plan(const Creation& creation, isolate::LaunchPlan& plan);

// linux.resources.devices, and behind them what every container may use.
std::vector<sys::DeviceRule> device_rules(const Spec& spec);

// The container's first process or one more: identity, limits, privileges and filter. What is passed must
// outlive the launch.
struct ProcessOf {
  const Process& process;
  const std::optional<sys::SeccompProfile>& seccomp;
  const State& state;
  Status status;  // the container's
};
Result<void> plan_process(const ProcessOf& wanted, isolate::LaunchPlan& plan);

Result<void> plan_namespaces(const Creation& creation, isolate::LaunchPlan& plan);
Result<void> plan_names(const Creation& creation, isolate::LaunchPlan& plan);  // hostname, loopback
Result<void> plan_root(const Creation& creation, isolate::LaunchPlan& plan);
Result<void> plan_mounts(const Creation& creation, isolate::LaunchPlan& plan);  // and the control group
Result<void> plan_devices(const Creation& creation, isolate::LaunchPlan& plan);
Result<void> plan_create_hooks(const Creation& creation, isolate::LaunchPlan& plan);
Result<void> plan_leaving(const Creation& creation, isolate::LaunchPlan& plan);  // the host's root
Result<void> plan_protection(const Creation& creation,
                             isolate::LaunchPlan& plan);  // sysctls, masks, read-only
Result<void> plan_start_hooks(const Creation& creation, isolate::LaunchPlan& plan);

}  // namespace berth::oci

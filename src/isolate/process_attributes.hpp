// What the runtime specification lets a process be given besides user, capabilities and limits (config.md,
// "Process"; config-linux.md).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"
#include "isolate/launch_plan.hpp"
#include "sys/process_attributes.hpp"
#include "sys/scheduling.hpp"

namespace berth::isolate {

struct ProcessAttributes {
  std::optional<sys::Scheduling> scheduling;
  std::optional<sys::IoPriority> io_priority;
  std::optional<cpu_set_t> initial_cpus;  // while it is being started, before it enters its control group
  std::optional<cpu_set_t> final_cpus;    // once it is in it
  std::optional<int> oom_score_adj;       // the launcher's to set, by sys::set_oom_score_adjustment()
  std::string apparmor_profile;
  std::string selinux_label;
};

// Reads scheduler, ioPriority, execCPUAffinity, oomScoreAdj, apparmorProfile and selinuxLabel of `process`.
// Errors name the field; a label that this kernel cannot give is FailedPrecondition.
Result<ProcessAttributes> parse_process_attributes(const JsonView& process);
// linux.personality; nothing where it is absent.
Result<std::optional<sys::Personality>> parse_personality(const JsonView& linux_config);
// linux.timeOffsets as /proc/PID/timens_offsets takes it; "" without any.
Result<std::string> parse_time_offsets(const JsonView& linux_config);

// Adds the steps, all but those that are the launcher's. Labels go to the end of what is planned so far:
// later steps must not execute anything.
void add_process_attributes(LaunchPlan& plan, const ProcessAttributes& attributes);
void add_personality(LaunchPlan& plan, sys::Personality personality);
void add_time_namespace(LaunchPlan& plan, const std::string& offsets);
// Leaves the host's session keyring for one named after the unit. Where the kernel has no keys, or the user
// may have no more of them, the host's is not handed on either way: that is no failure.
void add_session_keyring(LaunchPlan& plan, const std::string& unit_id);
// process.user.umask
void add_umask(LaunchPlan& plan, mode_t umask);

}  // namespace berth::isolate

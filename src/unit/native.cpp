#include "unit/native.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.hpp"
#include "isolate/cgroup.hpp"
#include "isolate/launcher.hpp"
#include "sys/process.hpp"

namespace berth::unit {
namespace {

// The unit's own configuration with what exec changes: so that both ways into a unit resolve users and
// privileges alike.
UnitConfig effective_config(const UnitConfig& config, const ExecConfig& exec) {
  UnitConfig effective = config;
  effective.args = exec.args;
  effective.tty = exec.tty;
  effective.init = false;
  if (!exec.cwd.empty()) effective.cwd = exec.cwd;
  if (!exec.user.empty()) effective.user = exec.user;
  if (exec.privileged) effective.privileged = true;
  for (const std::string& variable : exec.env) {
    const std::string prefix = variable.substr(0, variable.find('=') + 1);
    std::erase_if(effective.env, [&](const std::string& present) { return present.starts_with(prefix); });
    effective.env.push_back(variable);
  }
  return effective;
}

Result<std::unique_ptr<sys::Cgroup>> group_of(const UnitConfig& config, std::string_view wish) {
  auto group = TRY(isolate::find_cgroup(config));
  if (group) return group;
  return fail(
      Code::FailedPrecondition,
      fmt::format("cannot {} {}: it has no control group (not running, or groups are not writable here)",
                  wish, config.name));
}

Result<void> check_same_process(const UnitConfig& config, const Running& running) {
  const auto start = sys::process_start_time(running.pid);
  if (start && *start == running.start_time) return {};
  return fail(Code::FailedPrecondition, fmt::format("{} is not running", config.name));
}

Result<void> check_not_paused(const UnitConfig& config) {
  const auto group = TRY(isolate::find_cgroup(config));
  if (group && TRY(group->frozen())) {
    return fail(Code::FailedPrecondition, fmt::format("{} is paused: unpause it first", config.name));
  }
  return {};
}

// Without a control group: the first process and all that descends from it.
std::vector<pid_t> descendants(pid_t first) {
  std::vector<pid_t> found{first};
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto children = sys::read_file(fmt::format("/proc/{}/task/{}/children", found[i], found[i]));
    if (!children) continue;
    for (const std::string& child : split(trim(*children), ' ')) {
      if (const auto pid = parse_u64(child)) found.push_back(static_cast<pid_t>(*pid));
    }
  }
  return found;
}

Launched handed_over(isolate::LaunchedProcess process) {
  return Launched{process.pid, std::move(process.pidfd), std::move(process.terminal)};
}

}  // namespace

Result<Launched> NativeUnit::launch(const UnitConfig& config, const isolate::InstancePaths& paths,
                                    const Stdio& stdio) {
  const auto start = [&]() -> Result<isolate::LaunchedProcess> {
    isolate::LaunchPlan plan;
    plan.args = config.args;
    plan.env = config.env;
    if (auto prepared = isolate::prepare_all(isolators(), {config, paths, stdio}, plan); !prepared) {
      return fail(isolate::before_program(std::move(prepared).error()));
    }
    return isolate::launch(plan, stdio);
  };
  auto process = start();
  if (process) return handed_over(*std::move(process));
  static_cast<void>(cleanup(config));
  return fail(std::move(process).error());
}

Result<Launched> NativeUnit::exec(const UnitConfig& config, const isolate::InstancePaths& /*paths*/,
                                  const Running& running, const ExecConfig& exec, const Stdio& stdio) {
  TRY(check_same_process(config, running));
  TRY(check_not_paused(config));
  const UnitConfig effective = effective_config(config, exec);
  isolate::LaunchPlan plan;
  plan.args = effective.args;
  plan.env = effective.env;
  if (auto prepared = isolate::prepare_exec_all(isolators(), {effective, running.pid}, plan); !prepared) {
    return fail(isolate::before_program(std::move(prepared).error()));
  }
  // The number may have been recycled while namespaces were being opened by it.
  TRY(check_same_process(config, running));
  return handed_over(TRY(isolate::launch(plan, stdio)));
}

Result<void> NativeUnit::pause(const UnitConfig& config, bool paused) {
  return TRY(group_of(config, paused ? "pause" : "unpause"))->freeze(paused);
}

Result<void> NativeUnit::update(const UnitConfig& config, const sys::Resources& resources) {
  return TRY(group_of(config, "update"))->apply(resources);
}

Result<sys::CgroupStats> NativeUnit::stats(const UnitConfig& config) {
  return TRY(group_of(config, "measure"))->stats();
}

Result<std::vector<pid_t>> NativeUnit::pids(const UnitConfig& config, const Running& running) {
  TRY(check_same_process(config, running));
  const auto group = TRY(isolate::find_cgroup(config));
  return group ? group->pids() : Result<std::vector<pid_t>>(descendants(running.pid));
}

Result<void> NativeUnit::cleanup(const UnitConfig& config) {
  return isolate::cleanup_all(isolators(), config);
}

}  // namespace berth::unit

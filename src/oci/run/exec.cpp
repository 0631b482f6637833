#include "oci/run/exec.hpp"

#include <fmt/core.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "isolate/cgroup.hpp"
#include "oci/plan/context.hpp"
#include "oci/run/console.hpp"
#include "oci/run/scope.hpp"
#include "oci/run/sub_group.hpp"
#include "oci/spec/spec.hpp"
#include "oci/state/state.hpp"
#include "sys/process.hpp"
#include "sys/scheduling.hpp"

namespace berth::oci {
namespace {

constexpr std::uint64_t kMaxId = UINT32_MAX - 1;

Result<std::uint32_t> parse_id(const std::string& text, std::string_view option) {
  const auto id = parse_u64(text);
  if (id && *id <= kMaxId) return static_cast<std::uint32_t>(*id);
  return fail(Code::InvalidArgument, fmt::format("{} {}: give numbers", option, text));
}

Result<void> set_user(const ExecRequest& request, Process& process) {
  if (!request.user.empty()) {
    const auto colon = request.user.find(':');
    process.uid = TRY(parse_id(request.user.substr(0, colon), "--user"));
    process.gid = colon == std::string::npos ? 0 : TRY(parse_id(request.user.substr(colon + 1), "--user"));
  }
  for (const std::string& group : request.additional_gids)
    process.additional_gids.push_back(TRY(parse_id(group, "--additional-gids")));
  return {};
}

Result<void> add_capabilities(const ExecRequest& request, Process& process) {
  if (request.capabilities.empty()) return {};
  sys::CapabilitySets sets = process.capabilities.value_or(sys::CapabilitySets{});
  for (const std::string& name : request.capabilities) {
    const auto mask = TRY(sys::parse_capability(name, "--cap"));
    sets.bounding |= mask;
    sets.effective |= mask;
    sets.permitted |= mask;
    sets.inheritable |= mask;
    sets.ambient |= mask;
  }
  process.capabilities = sets;
  return {};
}

Result<Process> read_process(const ExecRequest& request) {
  const Json json = TRY(parse_json(TRY(sys::read_file(request.process_file, kMaxConfigBytes)), "process"));
  return Process::from_json(JsonView(json, "process"));
}

// The container's own process, or the file's, with what the options say.
Result<Process> effective_process(const ExecRequest& request, const Spec& spec) {
  Process process = request.process_file.empty() ? spec.process : TRY(read_process(request));
  if (request.process_file.empty()) {
    process.terminal = false;
    process.console_size.reset();
  }
  if (!request.args.empty()) process.args = request.args;
  process.env.insert(process.env.end(), request.env.begin(), request.env.end());
  if (!request.cwd.empty()) process.cwd = request.cwd;
  process.terminal = process.terminal || request.tty;
  process.no_new_privileges = process.no_new_privileges || request.no_new_privileges;
  if (!request.apparmor.empty()) process.attributes.apparmor_profile = request.apparmor;
  if (!request.process_label.empty()) process.attributes.selinux_label = request.process_label;
  TRY(set_user(request, process));
  TRY(add_capabilities(request, process));
  if (process.args.empty()) return fail(Code::InvalidArgument, "exec: names no program");
  return process;
}

Result<Status> check_status(const ExecRequest& request, const ContainerDir& dir, const State& state) {
  const Status status = TRY(status_of(dir, state));
  if (status == Status::Running || status == Status::Created) return status;
  if (status == Status::Paused && request.ignore_paused) return status;
  if (status == Status::Paused) {
    return fail(Code::FailedPrecondition,
                fmt::format("cannot exec in a paused container (use --ignore-paused): {}", request.id));
  }
  return fail(Code::FailedPrecondition,
              fmt::format("cannot exec in a {} container: {}", status_name(status), request.id));
}

Result<void> plan_joins(const State& state, const Spec& spec, isolate::LaunchPlan& plan) {
  sys::Fd pidfd = TRY(sys::open_pidfd(state.pid));
  const int namespaces = TRY(sys::differing_namespaces(state.pid));
  // The number may have become another process's while its namespaces were looked up.
  if (!is_alive(state))
    return fail(Code::FailedPrecondition, fmt::format("container not running: {}", state.id));
  if (namespaces != 0) plan.joins.push_back({std::move(pidfd), namespaces});
  if ((namespaces & CLONE_NEWUSER) != 0) {
    plan.then("become root of the user namespace", [keep = spec.wishes.keep_groups]() noexcept {
      return sys::set_user(0, 0, nullptr, 0, !keep && sys::may_set_groups());
    });
  }
  return {};
}

// The container's own group, then those below it that were asked for.
Result<void> plan_groups(const ExecRequest& request, const State& state, isolate::LaunchPlan& plan) {
  if (!state.cgroup.empty()) plan.cgroup = TRY(isolate::find_cgroup_at(state.cgroup));
  plan.beside = state.pid;
  if (!state.unit.empty()) TRY(enter_users_systemd());
  if (request.cgroups.empty()) return {};
  if (!plan.cgroup)
    return fail(Code::FailedPrecondition, fmt::format("--cgroup: {} has no control group", state.id));
  auto groups = TRY(find_sub_groups(*plan.cgroup, request.cgroups));
  plan.ask("enter the groups of --cgroup",
           [groups = std::make_shared<std::vector<sys::CgroupDir>>(std::move(groups))](
               const isolate::ChildAtStep& child) -> Result<void> {
             for (const sys::CgroupDir& group : *groups) TRY(group.attach(child.pid));
             return {};
           });
  return {};
}

// The runtime itself moves there, and the new process with it: it takes effect before the container's group
// is entered.
Result<void> set_initial_cpus(const Process& process) {
  const auto& cpus = process.attributes.initial_cpus;
  const int error = cpus ? sys::set_cpu_affinity(*cpus) : 0;
  if (error != 0) return fail_errno("process.execCPUAffinity.initial", error);
  return {};
}

Result<void> hand_over(const ExecRequest& request, const Process& process,
                       const isolate::LaunchedProcess& launched) {
  if (launched.terminal) {
    if (process.console_size) TRY(sys::set_window_size(launched.terminal.get(), *process.console_size));
    if (!request.console_socket.empty()) TRY(send_console(request.console_socket, launched.terminal.get()));
  }
  if (!request.pid_file.empty()) TRY(write_pid_file(request.pid_file, launched.pid));
  return {};
}

}  // namespace

Result<isolate::LaunchedProcess> exec(const ExecRequest& request) {
  const ContainerDir dir = TRY(ContainerDir::open(request.root, request.id));
  const State state = TRY(State::load(dir));
  const Status status = TRY(check_status(request, dir, state));
  const Spec spec = TRY(Spec::parse(TRY(sys::read_file(dir.file(kConfigFile), kMaxConfigBytes))));
  const Process process = TRY(effective_process(request, spec));
  if (process.terminal && request.console_socket.empty() && !request.keeps_terminal)
    return fail(Code::InvalidArgument,
                "--tty: somebody must hold the terminal's other end: give --console-socket");

  isolate::LaunchPlan plan;
  TRY(set_initial_cpus(process));
  TRY(plan_joins(state, spec, plan));
  TRY(plan_groups(request, state, plan));
  plan.credentials.keep_groups = spec.wishes.keep_groups;
  plan.kept_descriptors = request.preserve_fds;
  TRY(plan_process({process, spec.platform.seccomp, state, status}, plan));
  isolate::Stdio stdio;
  stdio.tty = process.terminal;
  auto launched = TRY(isolate::launch(plan, stdio));
  if (auto handed = hand_over(request, process, launched); !handed) {
    static_cast<void>(sys::send_signal(launched.pidfd.get(), SIGKILL));
    static_cast<void>(sys::reap(launched.pid, true));
    return fail(std::move(handed).error());
  }
  return launched;
}

}  // namespace berth::oci

#include "oci/run/create.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "isolate/user.hpp"
#include "oci/plan/hooks.hpp"
#include "oci/run/console.hpp"
#include "oci/run/delete.hpp"
#include "oci/run/prepare.hpp"
#include "oci/run/scope.hpp"
#include "sys/message_socket.hpp"
#include "sys/process.hpp"

namespace berth::oci {
namespace {

Result<isolate::Gate> make_gate(const ContainerDir& dir) {
  isolate::Gate gate;
  gate.lock = TRY(sys::lock_file(dir.file(kGateLock)));
  gate.listener = TRY(sys::listen_messages(dir.path(), kGateSocket));
  TRY(sys::set_nonblocking(gate.listener.get(), false));
  return gate;
}

void set_home(const Spec& spec, isolate::LaunchPlan& plan) {
  const bool given = std::any_of(plan.env.begin(), plan.env.end(),
                                 [](const std::string& variable) { return variable.starts_with("HOME="); });
  if (given) return;
  const auto user = isolate::resolve_user(plan.root.get(), std::to_string(spec.process.uid));
  plan.env.push_back("HOME=" + (user ? user->home : std::string("/")));
}

// The first process of a container is the number 1 in it (sd_listen_fds(3) compares).
void add_listen_variables(const CreateOptions& options, isolate::LaunchPlan& plan) {
  if (options.listen_fds == 0) return;
  plan.env.push_back(fmt::format("LISTEN_FDS={}", options.listen_fds));
  plan.env.emplace_back("LISTEN_PID=1");
  if (!options.listen_names.empty()) plan.env.push_back("LISTEN_FDNAMES=" + options.listen_names);
}

// Steps of create() that leave something behind; the caller clears up where one fails.
class Making {
 public:
  Making(const CreateRequest& request, const Spec& spec, ContainerDir& dir, State& state)
      : request_(request), spec_(spec), dir_(dir), state_(state) {}

  Result<isolate::LaunchedProcess> run(std::string_view config) {
    TRY(sys::replace_file(dir_.file(kConfigFile), config, 0600, sys::Keeping::Transient));
    TRY(state_.save(dir_));
    std::optional<Scope> scope;
    if (request_.options.systemd_cgroup) scope = TRY(Scope::start(spec_, state_, dir_));
    isolate::LaunchPlan plan;
    plan.cgroup = TRY(make_group(state_));
    plan.late_cgroup = true;
    TRY(make_plan({spec_, request_.options, state_, dir_, plan.cgroup.get()}, plan));
    plan.console = spec_.process.terminal;
    set_home(spec_, plan);
    add_listen_variables(request_.options, plan);
    plan.gate = TRY(make_gate(dir_));
    plan.meanwhile = [this, &plan](pid_t pid) -> Result<void> {
      TRY(note_process(pid));
      return plan.cgroup ? fill_group(*plan.cgroup, spec_) : Result<void>();
    };
    isolate::Stdio stdio;
    stdio.tty = spec_.process.terminal;
    auto process = TRY(isolate::launch(plan, stdio));
    TRY(hand_over(process));
    state_.creating = false;
    TRY(state_.save(dir_));
    return process;
  }

 private:
  Result<void> note_process(pid_t pid) {
    state_.pid = pid;
    state_.start_time = TRY(sys::process_start_time(pid));
    return state_.save(dir_);
  }

  Result<void> hand_over(const isolate::LaunchedProcess& process) const {
    if (process.terminal) {
      if (const auto& size = spec_.process.console_size)
        TRY(sys::set_window_size(process.terminal.get(), *size));
      if (!request_.console_socket.empty())
        TRY(send_console(request_.console_socket, process.terminal.get()));
    }
    if (!request_.pid_file.empty()) TRY(write_pid_file(request_.pid_file, process.pid));
    if (const std::string& receiver = spec_.wishes.pidfd_receiver; !receiver.empty())
      TRY(send_pidfd(receiver, process.pidfd.get()));
    return {};
  }

  const CreateRequest& request_;
  const Spec& spec_;
  ContainerDir& dir_;
  State& state_;
};

}  // namespace

Result<Container> create(const CreateRequest& request) {
  Prepared prepared = TRY(prepare(request));
  State state = prepared.state;
  ContainerDir dir = TRY(ContainerDir::create(request.root, request.id));
  auto process = Making(request, prepared.spec, dir, state).run(prepared.config);
  if (!process) {
    clear_up(dir, state);
    return fail(std::move(process).error());
  }
  return Container{std::move(dir), std::move(state), std::move(prepared.spec), *std::move(process)};
}

Result<void> start(ContainerDir& dir, const State& state) {
  const Status status = TRY(status_of(dir, state));
  if (status != Status::Created) {
    return fail(Code::FailedPrecondition, fmt::format("cannot start container {}: it is {}, not created",
                                                      state.id, status_name(status)));
  }
  TRY(isolate::open_gate(dir.path(), kGateSocket));
  if (!state.late_hooks) return {};
  const Spec spec = TRY(Spec::parse(TRY(sys::read_file(dir.file(kConfigFile), kMaxConfigBytes))));
  run_hooks_anyway(spec, HookStage::Poststart, state_text(state, Status::Running).with(state.pid));
  return {};
}

}  // namespace berth::oci

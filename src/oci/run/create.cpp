#include "oci/run/create.hpp"

#include <fmt/core.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/text.hpp"
#include "isolate/cgroup.hpp"
#include "isolate/user.hpp"
#include "oci/plan/hooks.hpp"
#include "oci/run/console.hpp"
#include "oci/run/delete.hpp"
#include "oci/run/scope.hpp"
#include "sys/message_socket.hpp"
#include "sys/process.hpp"
#include "sys/user_map.hpp"

namespace berth::oci {
namespace {

Result<std::string> absolute_directory(const std::string& path, std::string_view what) {
  const std::unique_ptr<char, decltype(&::free)> resolved(::realpath(path.c_str(), nullptr), ::free);
  if (!resolved) return fail_errno(fmt::format("{} {}", what, path));
  struct stat info {};
  if (::stat(resolved.get(), &info) != 0) return fail_errno(fmt::format("{} {}", what, path));
  if (!S_ISDIR(info.st_mode))
    return fail(Code::InvalidArgument, fmt::format("{} {}: not a directory", what, path));
  return std::string(resolved.get());
}

Result<void> check_program(const Process& process) {
  if (process.args.empty()) return fail(Code::InvalidArgument, "config.process.args: names no program");
  return {};
}

Result<void> check_console(const CreateRequest& request, const Process& process) {
  if (process.terminal && request.console_socket.empty() && !request.keeps_terminal) {
    return fail(Code::InvalidArgument,
                "process.terminal: somebody must hold the terminal's other end: give --console-socket");
  }
  if (!process.terminal && !request.console_socket.empty())
    return fail(Code::InvalidArgument, "--console-socket: process.terminal is false");
  return {};
}

Result<void> check_descriptors(int count) {
  for (int fd = 3; fd < 3 + count; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0)
      return fail(Code::InvalidArgument,
                  fmt::format("--preserve-fds (and LISTEN_FDS): descriptor {} is not open", fd));
  }
  return {};
}

// An ordinary user may own no control groups: fine as long as no limit was asked for.
Result<std::unique_ptr<sys::Cgroup>> make_cgroup(const Spec& spec, const State& state) {
  const sys::CgroupHost& host = *TRY(isolate::cgroup_host());
  if (!host.writable) return std::unique_ptr<sys::Cgroup>();
  auto group = TRY(sys::Cgroup::create(host, state.cgroup, {}));
  const auto fill = [&]() -> Result<void> {
    TRY(group->make_everywhere());
    TRY(isolate::apply_runtime_resources(*group, spec.platform.resources));
    const bool rules = !spec.platform.resources.devices.empty() && host.why_not("devices").empty();
    return rules ? group->set_devices(device_rules(spec)) : Result<void>();
  };
  TRY(fill());
  return group;
}

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
    TRY(sys::replace_file(dir_.file(kConfigFile), config, 0600));
    TRY(state_.save(dir_));
    std::optional<Scope> scope;
    if (request_.options.systemd_cgroup) scope = TRY(Scope::start(spec_, state_, dir_));
    isolate::LaunchPlan plan;
    plan.cgroup = TRY(make_cgroup(spec_, state_));
    plan.late_cgroup = true;
    TRY(make_plan({spec_, request_.options, state_, dir_, plan.cgroup.get()}, plan));
    plan.console = spec_.process.terminal;
    set_home(spec_, plan);
    add_listen_variables(request_.options, plan);
    plan.gate = TRY(make_gate(dir_));
    plan.on_process = [this](pid_t pid) { return note_process(pid); };
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
  const std::string bundle =
      TRY(absolute_directory(request.bundle.empty() ? "." : request.bundle, "--bundle"));
  const std::string file = request.config.empty() ? "config.json" : request.config;
  const std::string path = file.starts_with('/') ? file : fmt::format("{}/{}", bundle, file);
  const std::string config = TRY(sys::read_file(path, kMaxConfigBytes));
  Spec spec = TRY(Spec::parse(config));
  TRY(check_program(spec.process));
  TRY(check_console(request, spec.process));
  TRY(check_descriptors(request.options.listen_fds + request.options.preserve_fds));

  State state;
  state.id = request.id;
  state.oci_version = spec.oci_version;
  state.bundle = bundle;
  state.root = TRY(absolute_directory(
      spec.root.starts_with('/') ? spec.root : fmt::format("{}/{}", bundle, spec.root), "root.path"));
  state.created = format_rfc3339(std::chrono::system_clock::now());
  state.owner = sys::outer_uid();
  if (!request.options.systemd_cgroup)
    state.cgroup = TRY(isolate::cgroup_path_of(spec.platform.cgroups_path, "berth-oci", request.id));
  state.annotations = spec.annotations;
  state.late_hooks =
      !spec.hooks.of(HookStage::Poststart).empty() || !spec.hooks.of(HookStage::Poststop).empty();

  ContainerDir dir = TRY(ContainerDir::create(request.root, request.id));
  auto process = Making(request, spec, dir, state).run(config);
  if (!process) {
    clear_up(dir, state);
    return fail(std::move(process).error());
  }
  return Container{std::move(dir), std::move(state), std::move(spec), *std::move(process)};
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

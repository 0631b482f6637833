#include "oci/run/delete.hpp"

#include <fmt/core.h>
#include <signal.h>

#include "base/log.hpp"
#include "isolate/cgroup.hpp"
#include "oci/plan/hooks.hpp"
#include "oci/run/scope.hpp"
#include "oci/spec/spec.hpp"
#include "sys/process.hpp"

namespace berth::oci {
namespace {

constexpr int kKillTimeoutMs = 10000;

// Empty where the process is gone: the number may be another's by now.
Result<sys::Fd> open_process(const State& state) {
  if (state.pid <= 0) return sys::Fd();
  auto pidfd = sys::open_pidfd(state.pid);
  if (!pidfd && pidfd.error().sys_errno == ESRCH) return sys::Fd();
  if (pidfd && !is_alive(state)) return sys::Fd();
  return pidfd;
}

Result<void> send_kill(const sys::Fd& process) {
  auto sent = sys::send_signal(process.get(), SIGKILL);
  if (!sent && sent.error().sys_errno != ESRCH) return sent;
  return {};
}

Result<void> end_group(const State& state) {
  const auto group = state.cgroup.empty() ? nullptr : TRY(isolate::find_cgroup_at(state.cgroup));
  if (group) TRY(group->kill_all());
  if (const auto stopped = stop_scope(state); !stopped) log::warn("{}", stopped.error().message);
  return {};
}

Result<void> await_end(const sys::Fd& process, const State& state) {
  if (TRY(sys::wait_for_end(process.get(), kKillTimeoutMs))) return {};
  return fail(
      Code::DeadlineExceeded,
      fmt::format("process {} of container {} does not end: it is stuck in the kernel", state.pid, state.id));
}

Result<void> run_poststop(const ContainerDir& dir, const State& state) {
  const Spec spec = TRY(Spec::parse(TRY(sys::read_file(dir.file(kConfigFile), kMaxConfigBytes))));
  run_hooks_anyway(spec, HookStage::Poststop, state_text(state, Status::Stopped).with(0));
  return {};
}

// `process` is empty where it is gone.
Result<void> end(const sys::Fd& process, const State& state) {
  if (process) TRY(send_kill(process));
  TRY(end_group(state));
  return process ? await_end(process, state) : Result<void>();
}

Result<void> end(const State& state) { return end(TRY(open_process(state)), state); }

Result<void> remove_present(const std::string& root, const std::string& id, bool force) {
  ContainerDir dir = TRY(ContainerDir::open(root, id));
  TRY(dir.lock());
  const State state = TRY(State::load(dir));
  const sys::Fd process = TRY(open_process(state));
  if (process && !force) {
    const Status status = TRY(status_of(dir, state));
    if (status == Status::Running || status == Status::Paused) {
      return fail(Code::FailedPrecondition,
                  fmt::format("cannot delete container {} that is not stopped: {}", id, status_name(status)));
    }
  }
  TRY(end(process, state));
  if (state.late_hooks) {
    if (const auto ran = run_poststop(dir, state); !ran) log::warn("{}", ran.error().message);
  }
  return dir.remove();
}

}  // namespace

void clear_up(ContainerDir& dir, const State& state) {
  if (const auto ended = end(state); !ended) log::warn("{}", ended.error().message);
  if (const auto removed = dir.remove(); !removed) log::warn("{}", removed.error().message);
}

Result<void> remove(const std::string& root, const std::string& id, bool force) {
  auto removed = remove_present(root, id, force);
  if (!removed && force && removed.error().code == Code::NotFound) return {};
  return removed;
}

Result<void> kill(const std::string& root, const std::string& id, int signal, bool all) {
  const ContainerDir dir = TRY(ContainerDir::open(root, id));
  const State state = TRY(State::load(dir));
  const auto group = state.cgroup.empty() ? nullptr : TRY(isolate::find_cgroup_at(state.cgroup));
  if (all && group) {
    TRY(group->signal_all(signal));
  } else {
    const sys::Fd process = TRY(open_process(state));
    if (!process) return fail(Code::FailedPrecondition, fmt::format("container not running: {}", id));
    TRY(sys::send_signal(process.get(), signal));
  }
  // Under v1 a frozen process dies when it is thawed.
  if (signal != SIGKILL || !group) return {};
  auto frozen = group->frozen();
  if (!frozen && frozen.error().code == Code::NotFound) return {};  // dead, and cleared up by its `run`
  return TRY(std::move(frozen)) ? group->freeze(false) : Result<void>();
}

}  // namespace berth::oci

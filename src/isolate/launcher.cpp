#include "isolate/launcher.hpp"

#include <fmt/core.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/text.hpp"
#include "isolate/cgroup.hpp"
#include "isolate/child_join.hpp"
#include "sys/channel.hpp"
#include "sys/idmap.hpp"
#include "sys/process.hpp"

namespace berth::isolate {
namespace {

Result<void> write_id_mappings(pid_t pid, const LaunchPlan& plan) {
  if (plan.uid_mappings.empty() && plan.gid_mappings.empty()) return {};
  TRY_DURING("cannot map the unit's users and groups",
             sys::write_id_maps(pid, plan.uid_mappings, plan.gid_mappings));
  return {};
}

// The launcher's view of one launch in progress: kills and reaps the child unless it is handed over.
class Launching {
 public:
  Launching(const LaunchPlan& plan, pid_t pid, sys::Fd pidfd, sys::Fd channel)
      : plan_(plan), channel_(std::move(channel)) {
    process_.pid = pid;
    process_.pidfd = std::move(pidfd);
  }
  Launching(const Launching&) = delete;
  Launching& operator=(const Launching&) = delete;
  ~Launching() {
    if (process_.pid < 0) return;
    static_cast<void>(sys::send_signal(process_.pidfd.get(), SIGKILL));
    static_cast<void>(sys::reap(process_.pid, true));
  }

  Result<LaunchedProcess> see_through() {
    TRY(place());
    bool ready = false;
    while (!at_gate_) {
      auto received = TRY(sys::receive_message(channel_.get()));
      if (!received) break;
      TRY(take(*received, ready));
    }
    // The channel ends by exec (it is close-on-exec) or by death; only exec follows Ready.
    if (!ready) {
      return fail(
          Code::Aborted,
          "the unit's first process was killed while it was being started (a memory limit too small?)");
    }
    return LaunchedProcess{std::exchange(process_.pid, -1), std::move(process_.pidfd),
                           std::move(process_.terminal)};
  }

 private:
  // What a process needs of its launcher before its first step.
  Result<void> place() {
    const bool mapped_already = adopted_ && users_mapped_;
    const auto prepare = [&]() -> Result<void> {
      const bool first_of_two = !adopted_ && needs_second_process(plan_);
      if (!first_of_two && !mapped_already) TRY(write_id_mappings(process_.pid, plan_));
      const bool attach = plan_.cgroup && !plan_.late_cgroup && plan_.cgroup->clone_fd() < 0;
      if (attach && !adopted_) TRY(plan_.cgroup->attach(process_.pid));
      return {};
    };
    if (auto prepared = prepare(); !prepared) return fail(before_program(std::move(prepared).error()));
    TRY(answer());
    if (!plan_.meanwhile || (!adopted_ && needs_second_process(plan_))) return {};
    if (auto done = plan_.meanwhile(process_.pid); !done)
      return fail(before_program(std::move(done).error()));
    return {};
  }

  Result<void> answer() const {
    if (const int error = sys::send_message(channel_.get(), {0, process_.pid, 0}); error != 0) {
      return fail_errno("cannot speak to the starting process", error);
    }
    return {};
  }

  Result<void> map_users() {
    if (auto mapped = write_id_mappings(process_.pid, plan_); !mapped)
      return fail(before_program(std::move(mapped).error()));
    users_mapped_ = true;
    return answer();
  }

  Result<void> run_errand(std::int32_t index) const {
    const auto at = static_cast<std::size_t>(index);
    BERTH_ASSERT(at < plan_.errands.size());
    if (auto done = plan_.errands[at]({process_.pid, process_.pidfd.get()}); !done)
      return fail(before_program(std::move(done).error()));
    return answer();
  }

  Result<void> take(sys::ReceivedMessage& received, bool& ready) {
    const auto& [kind, first, error] = received.message;
    switch (static_cast<Report>(kind)) {
      case Report::Ready:
        ready = true;
        at_gate_ = first == 1;
        return {};
      case Report::Terminal:
        process_.terminal = std::move(received.fd);
        return {};
      case Report::AtErrand:
        return run_errand(first);
      case Report::NeedsUsers:
        return map_users();
      case Report::Joined:
        return adopt(first);
      case Report::JoinFailed:
        return fail_setup("cannot enter the unit's namespaces", error);
      case Report::StdioFailed:
        return fail_setup("cannot set up standard input and output", error);
      case Report::StepFailed:
        return fail_setup(fmt::format("cannot {}", step(first)), error);
      case Report::ExecFailed:
        return fail_exec(error);
    }
    return fail(Code::Internal, fmt::format("the starting process said something unknown ({})", kind));
  }

  // The process that was started ends after it made the one that goes on.
  Result<void> adopt(pid_t pid) {
    TRY(sys::reap(process_.pid, true));
    process_.pid = pid;
    process_.pidfd = TRY(sys::open_pidfd(pid));
    adopted_ = true;
    return place();
  }

  const std::string& step(std::int32_t index) const {
    static const std::string unknown = "do an unknown step";
    auto at = static_cast<std::size_t>(index);
    for (const ChildSteps* steps : {&plan_.setup, &plan_.lockdown, &plan_.last}) {
      if (at < steps->size()) return (*steps)[at]->what();
      at -= steps->size();
    }
    return unknown;
  }

  static Failure fail_setup(std::string_view what, int error) {
    return fail(before_program(fail_errno(what, error).value()));
  }

  Failure fail_exec(int error) const { return fail(program_error(plan_.args.front(), error)); }

  const LaunchPlan& plan_;
  sys::Fd channel_;
  LaunchedProcess process_;
  bool adopted_ = false;  // process_ is the second one
  bool users_mapped_ = false;
  bool at_gate_ = false;
};

}  // namespace

Error before_program(Error error) {
  if (error.code == Code::NotFound || error.code == Code::PermissionDenied)
    error.code = Code::FailedPrecondition;
  return error;
}

Error program_error(const std::string& program, int error) {
  if (error == ENOENT && program.find('/') == std::string::npos) {
    return {Code::NotFound, ENOENT,
            fmt::format("cannot run {}: executable file not found in $PATH", program)};
  }
  const Code code = error == ENOENT || error == ENOTDIR ? Code::NotFound : Code::PermissionDenied;
  return {code, error, fmt::format("cannot run {}: {}", program, std::strerror(error))};
}

namespace {

// As fork(2). Where the group takes no process, a second try is for the one below that plan.beside names.
pid_t clone_child(const LaunchPlan& plan, int* pidfd) {
  sys::CloneOptions options{.namespaces = needs_second_process(plan) ? 0 : plan.new_namespaces,
                            .cgroup = plan.cgroup && !plan.late_cgroup ? plan.cgroup->clone_fd() : -1};
  const pid_t pid = sys::clone_process(options, pidfd);
  if (pid != -EBUSY || options.cgroup < 0 || plan.beside == 0) return pid;
  const auto below = group_below(*plan.cgroup, plan.beside);
  if (!below || !*below) return pid;
  options.cgroup = (*below)->fd();
  return sys::clone_process(options, pidfd);
}

}  // namespace

Result<LaunchedProcess> launch(LaunchPlan& plan, const Stdio& stdio) {
  BERTH_ASSERT(!plan.args.empty());
  auto [ours, theirs] = TRY(sys::socket_pair(SOCK_SEQPACKET));
  ChildImage image(plan, stdio, theirs.get());
  int pidfd = -1;
  const pid_t pid = clone_child(plan, &pidfd);
  if (pid < 0) return fail_errno("cannot start a process", -pid);
  if (pid == 0) {
    ours.reset();
    run_child(image);
  }
  theirs.reset();
  Launching launching(plan, pid, sys::Fd(pidfd), std::move(ours));
  return launching.see_through();
}

}  // namespace berth::isolate

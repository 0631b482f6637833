#include "isolate/launcher.hpp"

#include <fmt/core.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>

#include "base/text.hpp"
#include "isolate/child.hpp"
#include "sys/channel.hpp"
#include "sys/process.hpp"

namespace berth::isolate {
namespace {

Result<void> write_id_mappings(pid_t pid, const std::vector<IdMapping>& mappings) {
  if (mappings.empty()) return {};
  std::string text;
  for (const IdMapping& m : mappings) text += fmt::format("{} {} {}\n", m.inside, m.outside, m.count);
  TRY_DURING("cannot map the unit's users (--userns)",
             sys::write_file(fmt::format("/proc/{}/uid_map", pid), text));
  TRY_DURING("cannot map the unit's groups (--userns)",
             sys::write_file(fmt::format("/proc/{}/gid_map", pid), text));
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
    if (auto placed = place(); !placed) return fail(before_program(std::move(placed).error()));
    if (const int error = sys::send_message(channel_.get(), {}); error != 0) {
      return fail_errno("cannot speak to the starting process", error);
    }
    bool ready = false;
    while (auto received = TRY(sys::receive_message(channel_.get()))) {
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
  Result<void> place() const {
    TRY(write_id_mappings(process_.pid, plan_.id_mappings));
    if (plan_.cgroup && plan_.cgroup->clone_fd() < 0) TRY(plan_.cgroup->attach(process_.pid));
    return {};
  }

  Result<void> take(sys::ReceivedMessage& received, bool& ready) {
    const auto& [kind, first, error] = received.message;
    switch (static_cast<Report>(kind)) {
      case Report::Ready:
        ready = true;
        return {};
      case Report::Terminal:
        process_.terminal = std::move(received.fd);
        return {};
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
    return {};
  }

  const std::string& step(std::int32_t index) const {
    static const std::string unknown = "do an unknown step";
    const auto at = static_cast<std::size_t>(index);
    const std::size_t first = plan_.setup.size();
    if (at < first) return plan_.setup[at]->what();
    return at - first < plan_.lockdown.size() ? plan_.lockdown[at - first]->what() : unknown;
  }

  static Failure fail_setup(std::string_view what, int error) {
    return fail(before_program(fail_errno(what, error).value()));
  }

  Failure fail_exec(int error) const {
    const std::string& program = plan_.args.front();
    if (error == ENOENT && program.find('/') == std::string::npos) {
      return fail(Error{Code::NotFound, ENOENT, fmt::format("cannot run {}: not found in PATH", program)});
    }
    const Code code = error == ENOENT || error == ENOTDIR ? Code::NotFound : Code::PermissionDenied;
    return fail(Error{code, error, fmt::format("cannot run {}: {}", program, std::strerror(error))});
  }

  const LaunchPlan& plan_;
  sys::Fd channel_;
  LaunchedProcess process_;
};

}  // namespace

Error before_program(Error error) {
  if (error.code == Code::NotFound || error.code == Code::PermissionDenied)
    error.code = Code::FailedPrecondition;
  return error;
}

Result<LaunchedProcess> launch(LaunchPlan& plan, const Stdio& stdio) {
  BERTH_ASSERT(!plan.args.empty());
  auto [ours, theirs] = TRY(sys::socket_pair(SOCK_SEQPACKET));
  ChildImage image(plan, stdio, theirs.get());
  int pidfd = -1;
  const sys::CloneOptions options{.namespaces = plan.new_namespaces,
                                  .cgroup = plan.cgroup ? plan.cgroup->clone_fd() : -1};
  const pid_t pid = sys::clone_process(options, &pidfd);
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

#include "unit/vm/exec.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json_value.hpp"
#include "relay/host_session.hpp"
#include "sys/message_socket.hpp"
#include "sys/process.hpp"
#include "sys/stream_socket.hpp"
#include "sys/terminal.hpp"
#include "sys/tty.hpp"
#include "unit/vm/start.hpp"

namespace berth::unit {
namespace {

constexpr int kProxyFailed = 125;
constexpr std::string_view kStarted = "s";

std::string request_of(const ExecConfig& exec) {
  return Json{{"args", exec.args}, {"env", exec.env}, {"cwd", exec.cwd},
              {"user", exec.user}, {"tty", exec.tty}, {"privileged", exec.privileged}}
      .dump();
}

// The proxy's life, in the child: nothing of the caller's stays open but what it needs.
int run_proxy(sys::Fd connection, sys::Fd status, const ExecConfig& exec) {
  auto signals = relay::take_over_signals();
  if (!signals) return kProxyFailed;
  relay::HostSession session(std::move(connection), *std::move(signals), exec.tty);
  session.ask(relay::Kind::Exec, request_of(exec));
  while (!session.finished()) {
    std::vector<pollfd> fds;
    session.prepare(fds);
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return kProxyFailed;
    session.handle(fds);
    if (session.refused()) {
      static_cast<void>(sys::send_message(status.get(), relay::encode_error(*session.refused())));
      return kProxyFailed;
    }
    if (session.started() && status) {
      static_cast<void>(sys::send_message(status.get(), kStarted));
      status.reset();
    }
  }
  constexpr int kMachineGone = 137;  // as of a process whose container was killed
  return session.exit_code().value_or(kMachineGone);
}

[[noreturn]] void become_proxy(sys::Fd connection, sys::Fd status, const ExecConfig& exec,
                               const std::array<int, 3>& stdio) {
  for (int fd = 0; fd < 3; ++fd)
    if (::dup2(stdio[static_cast<std::size_t>(fd)], fd) < 0) ::_exit(kProxyFailed);
  sys::close_all_but(3, {connection.get(), status.get()});
  if (exec.tty)
    static_cast<void>(sys::adopt_terminal(STDIN_FILENO));
  else
    ::setsid();
  ::_exit(run_proxy(std::move(connection), std::move(status), exec));
}

struct Terminal {
  sys::Fd master, slave;
};
Result<Terminal> make_terminal() {
  int master = -1, slave = -1;
  if (const int error = sys::open_terminal(&master, &slave); error != 0)
    return fail_errno("cannot make a terminal", error);
  Terminal terminal{sys::Fd(master), sys::Fd(slave)};
  TRY(sys::make_raw(slave));
  return terminal;
}

Result<void> await_start(int status) {
  std::string message;
  if (sys::receive_message(status, message) != sys::Transfer::Done)
    return fail(Code::Unavailable, "the machine has ended, or does not answer");
  if (message == kStarted) return {};
  return fail(relay::decode_error(message));
}

}  // namespace

Result<Launched> exec_in_machine(const InstancePaths& paths, const ExecConfig& exec, const Stdio& stdio) {
  sys::Fd connection = TRY(sys::connect_stream(fmt::format("{}/{}", paths.run, kMachineSocket)));
  auto [ours, theirs] = TRY(sys::socket_pair(SOCK_SEQPACKET));
  Terminal terminal;
  std::array<int, 3> fds = stdio.fds;
  if (stdio.tty) {
    terminal = TRY(make_terminal());
    fds.fill(terminal.slave.get());
  }
  int pidfd = -1;
  const pid_t pid = sys::clone_process({}, &pidfd);
  if (pid < 0) return fail_errno("cannot make a process", -pid);
  if (pid == 0) become_proxy(std::move(connection), std::move(theirs), exec, fds);
  Launched launched{.pid = pid, .pidfd = sys::Fd(pidfd), .terminal = std::move(terminal.master)};
  theirs.reset();
  terminal.slave.reset();
  const auto started = await_start(ours.get());
  if (started) return launched;
  static_cast<void>(sys::reap(pid, true));
  return fail(started.error());
}

}  // namespace berth::unit

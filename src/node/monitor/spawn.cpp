#include "node/monitor/spawn.hpp"

#include <fmt/core.h>
#include <sys/socket.h>

#include "base/text.hpp"
#include "node/protocol.hpp"
#include "sys/message_socket.hpp"
#include "sys/own_program.hpp"
#include "sys/spawn.hpp"

namespace berth::node {
namespace {

// The numbers under which a monitor finds what it is given.
constexpr int kLockFd = 3;
constexpr int kStarterFd = 4;

std::string_view mode_word(MonitorMode mode) {
  switch (mode) {
    case MonitorMode::Start:
      return "start";
    case MonitorMode::StartAttached:
      return "attach";
    case MonitorMode::TakeOver:
      return "take-over";
  }
  return "";
}

Result<void> await_start(MonitorLink& link) {
  std::string buffer;
  const auto got = sys::receive_message(link.socket.get(), buffer);
  const auto message = got == sys::Transfer::Done ? decode(buffer) : std::nullopt;
  if (!message) return fail(Code::Aborted, "the instance's monitor died while starting it");
  if (message->kind == Message::Failed) return fail(decode_error(message->payload));
  link.unit = static_cast<pid_t>(parse_i64(message->payload).value_or(-1));
  return {};
}

}  // namespace

Result<MonitorLink> spawn_monitor(const Paths& paths, const std::string& id, sys::Fd lock, MonitorMode mode) {
  const std::string program = TRY(sys::sibling_program("berth-monitor"));
  // It stays in its container as --init, and its child is what a hostile image may get started once more.
  const sys::Fd hidden = TRY(sys::out_of_reach(program));
  auto [ours, theirs] = TRY(sys::socket_pair(SOCK_SEQPACKET));
  const sys::Fd nothing = TRY(sys::open("/dev/null", O_RDWR));
  const sys::Fd complaints =
      TRY(sys::open(paths.state_dir(id) + "/monitor.log", O_WRONLY | O_CREAT | O_APPEND, 0640));
  const sys::SpawnOptions options{.fds = {{nothing.get(), 0},
                                          {nothing.get(), 1},
                                          {complaints.get(), 2},
                                          {lock.get(), kLockFd},
                                          {theirs.get(), kStarterFd}},
                                  .program_file = hidden.get(),
                                  .new_session = true};
  MonitorLink link;
  auto monitor =
      sys::spawn(program, {program, paths.root, paths.run, id, std::string(mode_word(mode))}, options);
  // Not the launch's NotFound or PermissionDenied, which would speak of the workload's program.
  if (!monitor) return fail(Code::Internal, monitor.error().message);
  link.monitor = *monitor;
  link.socket = std::move(ours);
  theirs.reset();
  TRY(await_start(link));
  return link;
}

Result<MonitorTask> parse_monitor_arguments(const std::vector<std::string>& args) {
  if (args.size() != 4) return fail(Code::InvalidArgument, "four arguments are expected");
  for (const int fd : {kLockFd, kStarterFd}) {
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return fail_errno("a descriptor is missing");
  }
  return MonitorTask{.paths = {args[0], args[1]},
                     .id = args[2],
                     .lock = sys::Fd(kLockFd),
                     .starter = sys::Fd(kStarterFd),
                     .attach = args[3] == "attach",
                     .take_over = args[3] == "take-over"};
}

}  // namespace berth::node

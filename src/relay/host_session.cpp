#include "relay/host_session.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/text.hpp"
#include "sys/terminal.hpp"

namespace berth::relay {
namespace {

constexpr std::size_t kMaxEarlySignals = 64;

}  // namespace

Result<sys::Fd> take_over_signals() {
  sigset_t mask;
  ::sigfillset(&mask);
  // These tell of faults of our own, of our children, or belong to an engine (SIGRTMIN).
  for (const int kept :
       {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT, SIGCHLD, SIGPIPE, SIGRTMIN})
    ::sigdelset(&mask, kept);
  ::sigprocmask(SIG_BLOCK, &mask, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  sys::Fd fd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_errno("cannot receive signals");
  return fd;
}

HostSession::HostSession(sys::Fd connection, sys::Fd signals, bool tty)
    : relay_(std::move(connection), [this](const Frame& frame) { receive(frame); }),
      signals_(std::move(signals)),
      tty_(tty) {}

void HostSession::ask(Kind kind, std::string payload) {
  if (kind == Kind::Start)
    start_ = std::move(payload);
  else
    relay_.send(kind, payload);
}

void HostSession::prepare(std::vector<pollfd>& fds) const {
  fds.push_back({signals_.get(), POLLIN, 0});
  relay_.prepare(fds);
}

void HostSession::handle(std::span<const pollfd> fds) {
  if (fds[0].revents != 0) take_signals();
  relay_.handle(fds.subspan(1));
}

void HostSession::receive(const Frame& frame) {
  switch (frame.kind) {
    case Kind::Hello:
      if (frame.payload == std::to_string(kVersion)) return relay_.send(Kind::Start, start_);
      refused_ = Error{Code::FailedPrecondition, 0, "the guest's berth-init is of another version"};
      return;
    case Kind::Started:
      return begin();
    case Kind::Failed:
      refused_ = decode_error(frame.payload);
      return;
    case Kind::Ended:
      return end(frame.payload);
    default:
      return;
  }
}

// The program runs: its streams are joined to ours, and it gets the signals that came too early.
void HostSession::begin() {
  if (std::exchange(started_, true)) return;
  relay_.read_from(0, sys::Fd(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)));
  relay_.write_to(1, sys::Fd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)));
  if (!tty_) relay_.write_to(2, sys::Fd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)));
  if (tty_) send_size();
  for (const int number : early_signals_) send_signal(number);
}

void HostSession::end(const std::string& payload) {
  constexpr std::uint64_t kUnreadable = 255;
  const auto blank = std::min(payload.find(' '), payload.size());
  exit_code_ =
      static_cast<int>(parse_u64(std::string_view(payload).substr(0, blank)).value_or(kUnreadable) & 0xff);
  oom_kills_ = parse_u64(std::string_view(payload).substr(std::min(blank + 1, payload.size()))).value_or(0);
}

void HostSession::send_size() {
  const auto size = sys::window_size(STDIN_FILENO);
  if (size.rows > 0) relay_.send(Kind::Resize, fmt::format("{} {}", size.rows, size.columns));
}

void HostSession::take_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    const auto number = static_cast<int>(info.ssi_signo);
    if (number == SIGWINCH && tty_)
      send_size();
    else if (started_)
      send_signal(number);
    else if (early_signals_.size() < kMaxEarlySignals)
      early_signals_.push_back(number);
  }
}

}  // namespace berth::relay

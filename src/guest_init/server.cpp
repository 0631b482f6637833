#include "guest_init/server.hpp"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <list>

#include "guest_init/session.hpp"
#include "sys/vsock.hpp"

namespace berth::guest_init {
namespace {

constexpr std::size_t kMaxSessions = 64;

class Server {
 public:
  Server(sys::Fd children, sys::Fd listener)
      : children_(std::move(children)), listener_(std::move(listener)) {}

  Result<void> run(sys::Fd to_host) {
    sessions_.emplace_back(std::move(to_host), workload_, true);
    while (true) {
      TRY(step());
      for (Session& session : sessions_) session.advance();
      if (sessions_.front().done()) return {};
      sessions_.remove_if([](const Session& session) { return session.done(); });
    }
  }

 private:
  Result<void> step() {
    std::vector<pollfd> fds = {{children_.get(), POLLIN, 0},
                               {sessions_.size() < kMaxSessions ? listener_.get() : -1, POLLIN, 0}};
    std::vector<std::size_t> places;
    for (const Session& session : sessions_) {
      places.push_back(fds.size());
      session.prepare(fds);
    }
    places.push_back(fds.size());
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return fail_errno("cannot wait");
    auto place = places.begin();
    for (Session& session : sessions_) {
      session.handle(std::span(fds).subspan(*place, *(place + 1) - *place));
      ++place;
    }
    if (fds[0].revents != 0) reap();
    if (fds[1].revents != 0)
      if (auto connection = TRY(sys::accept_vsock(listener_.get())))
        sessions_.emplace_back(*std::move(connection), workload_, false);
    return {};
  }

  void reap() {
    signalfd_siginfo info{};
    while (::read(children_.get(), &info, sizeof info) > 0) {
    }
    int status = 0;
    pid_t ended = 0;
    while ((ended = ::waitpid(-1, &status, WNOHANG)) > 0)
      for (Session& session : sessions_)
        if (session.owns(ended)) session.process_ended(status);
  }

  sys::Fd children_, listener_;
  Workload workload_;
  std::list<Session> sessions_;  // the first one first
};

Result<sys::Fd> watch_children() {
  sigset_t mask;
  ::sigemptyset(&mask);
  ::sigaddset(&mask, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &mask, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  sys::Fd fd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_errno("cannot watch children");
  return fd;
}

}  // namespace

Result<void> serve() {
  sys::Fd children = TRY(watch_children());
  sys::Fd listener = TRY(sys::listen_vsock(relay::kPort));
  sys::Fd to_host = TRY(sys::connect_vsock(sys::kVsockHost, relay::kPort));
  return Server(std::move(children), std::move(listener)).run(std::move(to_host));
}

}  // namespace berth::guest_init

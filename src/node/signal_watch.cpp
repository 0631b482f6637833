#include "node/signal_watch.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

#include <array>

namespace berth::node {
namespace {

constexpr std::array kForwarded = {SIGHUP,  SIGINT, SIGQUIT, SIGTERM,   SIGUSR1, SIGUSR2,
                                   SIGALRM, SIGPWR, SIGIO,   SIGVTALRM, SIGPROF};

}  // namespace

Result<SignalWatch> SignalWatch::start(bool forward) {
  sigset_t mask;
  sigset_t before;
  ::sigemptyset(&mask);
  ::sigaddset(&mask, SIGWINCH);
  if (forward) {
    for (const int number : kForwarded) ::sigaddset(&mask, number);
  }
  ::sigprocmask(SIG_BLOCK, &mask, &before);
  sys::Fd fd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (fd) return SignalWatch(std::move(fd), before);
  const int error = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  return fail_errno("cannot receive signals", error);
}

SignalWatch::~SignalWatch() {
  if (fd_) ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

std::vector<int> SignalWatch::take() const {
  std::vector<int> numbers;
  signalfd_siginfo info{};
  while (::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    numbers.push_back(static_cast<int>(info.ssi_signo));
  }
  return numbers;
}

}  // namespace berth::node

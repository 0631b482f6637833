#include "oci/run/foreground.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "sys/process.hpp"
#include "sys/terminal.hpp"
#include "sys/tty.hpp"

namespace berth::oci {
namespace {

// All but those that are about this process itself.
sigset_t forwarded_signals() {
  sigset_t set;
  ::sigfillset(&set);
  for (const int own :
       {SIGCHLD, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTTIN, SIGTTOU, SIGTSTP})
    ::sigdelset(&set, own);
  return set;
}

// One direction's bytes at a time; false once there is nothing more to come.
bool copy_some(int from, int to) {
  std::array<char, 4096> buffer;
  const auto count = sys::read_some(from, buffer);
  if (!count || *count == 0) return false;
  return static_cast<bool>(sys::write_all(to, {buffer.data(), *count}));
}

class Foreground {
 public:
  explicit Foreground(isolate::LaunchedProcess& process) : process_(process) {}

  Result<int> run() {
    const sigset_t set = forwarded_signals();
    signals_ = sys::Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) return fail_errno("cannot wait for signals");
    if (process_.terminal && sys::is_terminal(STDIN_FILENO)) {
      raw_.emplace(TRY(sys::RawMode::enter(STDIN_FILENO)));
      resize();
    }
    while (TRY(step())) {
    }
    return sys::exit_code_of(*TRY(sys::reap(process_.pid, true)));
  }

 private:
  // False once the process has ended and the terminal is drained.
  Result<bool> step() {
    std::array<pollfd, 4> items = {{{process_.pidfd.get(), POLLIN, 0},
                                    {signals_.get(), POLLIN, 0},
                                    {process_.terminal.get(), POLLIN, 0},
                                    {process_.terminal && input_ ? STDIN_FILENO : -1, POLLIN, 0}}};
    if (::poll(items.data(), items.size(), -1) < 0 && errno != EINTR) return fail_errno("cannot wait");
    if (items[1].revents != 0) forward();
    if (items[3].revents != 0) input_ = copy_some(STDIN_FILENO, process_.terminal.get());
    if (items[2].revents != 0 && !copy_some(process_.terminal.get(), STDOUT_FILENO))
      process_.terminal.reset();
    // What was printed last is still in the terminal: that comes first.
    return items[0].revents == 0 || (items[2].revents & POLLIN) != 0;
  }

  void forward() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGWINCH && process_.terminal)
        resize();
      else
        static_cast<void>(sys::send_signal(process_.pidfd.get(), static_cast<int>(info.ssi_signo)));
    }
  }

  void resize() {
    const sys::WindowSize size = sys::window_size(STDIN_FILENO);
    if (size.rows != 0) static_cast<void>(sys::set_window_size(process_.terminal.get(), size));
  }

  isolate::LaunchedProcess& process_;
  sys::Fd signals_;
  std::optional<sys::RawMode> raw_;
  bool input_ = true;
};

}  // namespace

void block_forwarded_signals() {
  const sigset_t set = forwarded_signals();
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
}

Result<int> stay_with(isolate::LaunchedProcess& process) { return Foreground(process).run(); }

}  // namespace berth::oci

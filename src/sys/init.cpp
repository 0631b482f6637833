#include "sys/init.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/process.hpp"

namespace berth::sys {

void block_all_signals() noexcept {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
}

void run_init(pid_t workload) noexcept {
  close_from(0, false);
  hide_from_ptrace();
  sigset_t all;
  ::sigfillset(&all);
  for (;;) {
    siginfo_t info;
    const int signal = ::sigwaitinfo(&all, &info);
    if (signal < 0) continue;
    if (signal != SIGCHLD) {
      // What the terminal sends reaches the whole foreground group: the workload has it already.
      if (info.si_code != SI_KERNEL) ::kill(workload, signal);
      continue;
    }
    int status = 0;
    pid_t ended = 0;
    while ((ended = ::waitpid(-1, &status, WNOHANG)) > 0) {
      if (ended == workload) ::_exit(exit_code_of(status));
    }
  }
}

}  // namespace berth::sys

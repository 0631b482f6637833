#include "sys/init.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sys/fd.hpp"
#include "sys/process.hpp"

namespace berth::sys {
namespace {

// The command line of the program that was forked names paths of the host: everybody in the unit could read
// them.
void rename_process(const char* name) noexcept {
  std::array<char, 4096> line;
  const Fd file(::open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC));
  const ssize_t length = file ? ::read(file.get(), line.data(), line.size()) : 0;
  const std::size_t wanted = std::strlen(name);
  if (length <= 0 || static_cast<std::size_t>(length) <= wanted) return;
  // The arguments lie one behind the other, from argv[0] on.
  std::memset(program_invocation_name, 0, static_cast<std::size_t>(length));
  std::memcpy(program_invocation_name, name, wanted);
  ::prctl(PR_SET_NAME, name, 0, 0, 0);
}

}  // namespace

void block_all_signals() noexcept {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
}

void run_init(pid_t workload) noexcept {
  close_from(0, false);
  hide_from_ptrace();
  rename_process("berth-init");
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

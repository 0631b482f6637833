#include "sys/command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/fd.hpp"

namespace berth::sys {
namespace {

using Clock = std::chrono::steady_clock;

struct SpawnActions {
  posix_spawn_file_actions_t actions;
  SpawnActions() { posix_spawn_file_actions_init(&actions); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions); }
};

// A child that is killed and reaped unless it was waited for.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    (void)wait();
  }
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_;
};

Result<pid_t> spawn(const std::vector<std::string>& arguments, int input, int output) {
  SpawnActions spawn_actions;
  posix_spawn_file_actions_adddup2(&spawn_actions.actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&spawn_actions.actions, output, STDOUT_FILENO);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], &spawn_actions.actions, nullptr, argv.data(), environ);
  if (error != 0) return fail_errno("cannot run " + arguments[0], error);
  return pid;
}

// Reads until the program closes its output.
Result<std::string> collect(int fd, const CommandInput& input, const std::string& program) {
  const auto deadline = Clock::now() + input.timeout;
  std::string text;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    struct pollfd poll_fd {
      fd, POLLIN, 0
    };
    const int ready = left > 0 ? ::poll(&poll_fd, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return fail_errno("cannot wait for " + program);
    if (ready == 0) return fail(Code::DeadlineExceeded, program + " does not end; it was killed");
    char buffer[4096];
    const std::size_t count = TRY(read_some(fd, buffer));
    if (count == 0) return text;
    if (text.size() + count > input.max_output_bytes) {
      return fail(Code::ResourceExhausted, program + " prints too much; it was killed");
    }
    text.append(buffer, count);
  }
}

}  // namespace

Result<CommandOutput> run_command(const std::vector<std::string>& arguments, const CommandInput& input) {
  BERTH_ASSERT(!arguments.empty());
  // A file, not a pipe, as its input: nothing here waits for the program to read, nor dies of it not reading.
  const int memory = ::memfd_create("input", MFD_CLOEXEC);
  if (memory < 0) return fail_errno("cannot make a file in memory");
  const Fd input_file(memory);
  TRY(write_all(input_file.get(), input.text));
  if (::lseek(input_file.get(), 0, SEEK_SET) != 0) return fail_errno("cannot rewind a file in memory");
  Pipe output = TRY(pipe());
  Child child(TRY(spawn(arguments, input_file.get(), output.write.get())));
  output.write.reset();
  std::string text = TRY(collect(output.read.get(), input, arguments[0]));
  return CommandOutput{child.wait(), std::move(text)};
}

}  // namespace berth::sys

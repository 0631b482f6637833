#include "sys/hook.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <ctime>

#include "sys/process.hpp"

namespace berth::sys {
namespace {

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> list;
  for (std::string& word : words) list.push_back(word.data());
  list.push_back(nullptr);
  return list;
}

std::int64_t now_ms() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// Whether `pidfd` ended in time.
bool ends_in_time(int pidfd, int timeout_ms) noexcept {
  const std::int64_t end = now_ms() + timeout_ms;
  for (;;) {
    const std::int64_t left = timeout_ms < 0 ? -1 : std::max<std::int64_t>(end - now_ms(), 0);
    pollfd item{pidfd, POLLIN, 0};
    const int ready = ::poll(&item, 1, static_cast<int>(left));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return true;
  }
}

int write_whole(int fd, const char* data, std::size_t size) noexcept {
  while (size > 0) {
    const ssize_t count = ::write(fd, data, size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    data += count;
    size -= static_cast<std::size_t>(count);
  }
  return 0;
}

}  // namespace

HookCommand::HookCommand(std::string path, std::vector<std::string> args, std::vector<std::string> env,
                         int timeout_ms)
    : path_(std::move(path)),
      args_(std::move(args)),
      env_(std::move(env)),
      argv_(pointers(args_)),
      envp_(pointers(env_)),
      timeout_ms_(timeout_ms) {}

void HookCommand::write_to(std::shared_ptr<Fd> out, std::shared_ptr<Fd> error) {
  out_ = std::move(out);
  error_ = std::move(error);
}

void HookCommand::become(int input, int root, int report) const noexcept {
  int error = reset_signals();
  if (root >= 0 && error == 0 && (::fchdir(root) != 0 || ::chroot(".") != 0)) error = errno;
  if (error == 0 && (::lseek(input, 0, SEEK_SET) != 0 || ::dup2(input, 0) < 0)) error = errno;
  if (error == 0 && out_ && ::dup2(out_->get(), 1) < 0) error = errno;
  if (error == 0 && error_ && ::dup2(error_->get(), 2) < 0) error = errno;
  if (error == 0) {
    close_from(3, true);
    ::execve(path_.c_str(), argv_.data(), envp_.data());
    error = errno;
  }
  write_whole(report, reinterpret_cast<const char*>(&error), sizeof error);
  ::_exit(127);
}

HookCommand::Outcome HookCommand::run(int input, int root) const noexcept {
  Outcome outcome;
  std::array<int, 2> report{};
  if (::pipe2(report.data(), O_CLOEXEC) != 0) return {.error = errno};
  const Fd reader(report[0]);
  Fd writer(report[1]);
  int pidfd = -1;
  const pid_t pid = clone_process({}, &pidfd);
  if (pid < 0) return {.error = -pid};
  if (pid == 0) become(input, root, writer.get());
  const Fd process(pidfd);
  writer.reset();
  int failed = 0;
  if (::read(reader.get(), &failed, sizeof failed) == static_cast<ssize_t>(sizeof failed))
    outcome.error = failed;
  outcome.timed_out = !ends_in_time(pidfd, timeout_ms_);
  if (outcome.timed_out) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  outcome.exit_code = exit_code_of(status);
  return outcome;
}

std::string HookCommand::describe(const Outcome& outcome) const {
  if (outcome.error != 0) return std::strerror(outcome.error);
  if (outcome.timed_out) return fmt::format("did not end within {} s and was killed", timeout_ms_ / 1000);
  return fmt::format("ended with exit code {}", outcome.exit_code);
}

Result<Fd> make_memory_file(std::string_view text) {
  Fd file(::memfd_create("state", MFD_CLOEXEC));
  if (!file) return fail_errno("cannot make a file in memory");
  TRY(write_all(file.get(), text));
  return file;
}

int make_memory_file(const char* first, std::size_t first_size, int number, const char* last,
                     std::size_t last_size) noexcept {
  Fd file(::memfd_create("state", MFD_CLOEXEC));
  if (!file) return -errno;
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  int error = write_whole(file.get(), first, first_size);
  if (error == 0)
    error = write_whole(file.get(), digits.data(), static_cast<std::size_t>(end - digits.data()));
  if (error == 0) error = write_whole(file.get(), last, last_size);
  return error == 0 ? file.release() : -error;
}

}  // namespace berth::sys

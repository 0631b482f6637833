#include "sys/spawn.hpp"

#include <errno.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "sys/fd.hpp"

namespace berth::sys {
namespace {

// Above every number that a spawned program expects, so that moving one descriptor never overwrites the next.
constexpr int kParkingFd = 64;

// Both objects of posix_spawn(3), released together.
struct SpawnPlan {
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  posix_spawn_file_actions_t actions{};
  posix_spawnattr_t attributes{};
};

// The new program starts with no signal blocked or ignored, whatever this one does with them.
void plan_signals(SpawnPlan& plan, bool new_session) {
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&plan.attributes, &none);
  ::posix_spawnattr_setsigdefault(&plan.attributes, &all);
  const int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | (new_session ? POSIX_SPAWN_SETSID : 0);
  ::posix_spawnattr_setflags(&plan.attributes, static_cast<short>(flags));
}

}  // namespace

Result<pid_t> spawn(const std::string& program, const std::vector<std::string>& args,
                    const SpawnOptions& options) {
  SpawnPlan plan;
  plan_signals(plan, options.new_session);
  std::vector<Fd> parked;
  for (const auto& [ours, theirs] : options.fds) {
    const int copy = ::fcntl(ours, F_DUPFD_CLOEXEC, kParkingFd);
    if (copy < 0) return fail_errno(fmt::format("cannot pass a descriptor to {}", program));
    parked.emplace_back(copy);
    ::posix_spawn_file_actions_adddup2(&plan.actions, copy, theirs);
  }
  std::string file = program;
  if (options.program_file >= 0) {
    parked.emplace_back(::fcntl(options.program_file, F_DUPFD_CLOEXEC, kParkingFd));
    if (!parked.back()) return fail_errno(fmt::format("cannot pass a descriptor to {}", program));
    file = fmt::format("/proc/self/fd/{}", parked.back().get());
  }
  std::vector<std::string> copies = args;
  std::vector<char*> argv;
  for (std::string& arg : copies) argv.push_back(arg.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, file.c_str(), &plan.actions, &plan.attributes, argv.data(), environ);
  if (error != 0) return fail_errno(fmt::format("cannot run {}", program), error);
  return pid;
}

Result<std::string> sibling_program(std::string_view name) {
  std::string self = TRY_DURING("cannot find berth's own programs", read_link("/proc/self/exe"));
  const bool nameless = self == "/" || self.starts_with("/memfd:");
  if (nameless) self = program_invocation_name;
  return fmt::format("{}/{}", self.substr(0, self.rfind('/')), name);
}

}  // namespace berth::sys

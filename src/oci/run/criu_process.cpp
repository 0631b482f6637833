#include "oci/run/criu_process.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "isolate/launcher.hpp"
#include "sys/process.hpp"

namespace berth::oci {
namespace {

// The last errors in a log; "" where there are none.
std::string errors_in(const std::string& log_file) {
  constexpr std::size_t kMost = 3;
  std::vector<std::string> errors;
  for (const std::string& line : split(sys::read_file(log_file).value_or(""), '\n')) {
    const auto at = line.find("Error (");
    if (at != std::string::npos) errors.push_back(line.substr(at));
  }
  if (errors.size() > kMost) errors.erase(errors.begin(), errors.end() - kMost);
  return join(errors, "; ");
}

}  // namespace

void hand_on(int fd, std::string what, isolate::LaunchPlan& plan) {
  plan.kept_descriptors = std::max(plan.kept_descriptors, fd - 2);  // those below it close by themselves
  plan.then(fmt::format("hand on {}", what),
            [fd]() noexcept { return ::fcntl(fd, F_SETFD, 0) == 0 ? 0 : errno; });
}

Result<CriuOutcome> run_criu(const std::string& program, const CriuRequest& request, const std::string& log,
                             isolate::LaunchPlan& plan) {
  auto [ours, theirs] = TRY(sys::socket_pair(SOCK_SEQPACKET));
  hand_on(theirs.get(), "CRIU's socket", plan);
  plan.args = {program, "swrk", std::to_string(theirs.get())};
  for (char** variable = ::environ; *variable != nullptr; ++variable) plan.env.emplace_back(*variable);
  ::unlink(log.c_str());  // what an earlier run said is not about this one
  const auto criu = TRY(isolate::launch(plan, {}));
  theirs.reset();
  auto outcome = ask_criu(ours.get(), request);
  // After a pre-dump it waits for the next one; without a word of its own there may be no end to wait for.
  const bool stays =
      outcome ? request.call() == CriuCall::PreDump : outcome.error().code != Code::FailedPrecondition;
  if (stays) static_cast<void>(sys::send_signal(criu.pidfd.get(), SIGKILL));
  TRY(sys::reap(criu.pid, true));
  if (outcome) return outcome;
  const std::string errors = errors_in(log);
  return fail(Code::FailedPrecondition,
              fmt::format("criu: {} (see {})", errors.empty() ? outcome.error().message : errors, log));
}

}  // namespace berth::oci

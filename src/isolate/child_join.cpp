#include "isolate/child_join.hpp"

#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "sys/channel.hpp"
#include "sys/message_socket.hpp"
#include "sys/process.hpp"
#include "sys/process_attributes.hpp"

namespace berth::isolate {
namespace {

constexpr int kNotFound = 127;
constexpr int kCannotInvoke = 126;
constexpr int kBerthFailed = 125;

int exit_code(Report report, int error) noexcept {
  if (report != Report::ExecFailed) return kBerthFailed;
  return error == ENOENT ? kNotFound : kCannotInvoke;
}

// A network namespace, say, may belong to the user namespace that is left or to the one that is entered: what
// cannot be joined before is joined after.
int join_all(const LaunchPlan& plan) noexcept {
  std::uint64_t joined = 0;  // by index
  int error = 0;
  for (const bool user : {false, true, false}) {
    for (std::size_t i = 0; i < plan.joins.size(); ++i) {
      const JoinTarget& target = plan.joins[i];
      const std::uint64_t bit = std::uint64_t{1} << i;
      if ((joined & bit) != 0 || (target.namespaces == CLONE_NEWUSER) != user) continue;
      const int failed = sys::join_namespaces(target.fd.get(), target.namespaces);
      if (failed == 0) joined |= bit;
      if (failed != 0 && (failed != EPERM || user)) return failed;
    }
  }
  if (joined != (std::uint64_t{1} << plan.joins.size()) - 1) error = EPERM;
  return error;
}

// A new time namespace belongs to the new user namespace where there is one, so that comes first.
int make_time_namespace(ChildImage& image, std::uint64_t& remaining) noexcept {
  if ((remaining & CLONE_NEWTIME) == 0) return 0;
  if ((remaining & CLONE_NEWUSER) != 0) {
    if (const int error = sys::new_namespaces(CLONE_NEWUSER); error != 0) return error;
    sys::send_message(image.context.channel, {static_cast<std::int32_t>(Report::NeedsUsers), 0, 0});
    wait_for_launcher(image);
    if (const int error = sys::set_user(0, 0, nullptr, 0, false); error != 0) return error;
  }
  remaining &= ~std::uint64_t{CLONE_NEWUSER | CLONE_NEWTIME};
  const std::string& offsets = image.plan.time_offsets;
  return sys::make_time_namespace(offsets.data(), offsets.size());
}

}  // namespace

bool needs_second_process(const LaunchPlan& plan) {
  return !plan.joins.empty() || (plan.new_namespaces & CLONE_NEWTIME) != 0;
}

void give_up(const ChildImage& image, Report report, int first, int error, std::string_view what) noexcept {
  sys::send_message(image.context.channel, {static_cast<std::int32_t>(report), first, error});
  if (image.past_gate) sys::send_message(image.context.channel, what);
  ::_exit(exit_code(report, error));
}

void wait_for_launcher(ChildImage& image) noexcept {
  sys::ChannelMessage go;
  if (sys::receive_message(image.context.channel, go, nullptr) != 0) ::_exit(kBerthFailed);  // it died
  image.context.outer_pid = go.first;
}

void continue_in_namespaces(ChildImage& image) noexcept {
  std::uint64_t remaining = image.plan.new_namespaces;
  int error = sys::hide_from_ptrace();
  if (error == 0) error = join_all(image.plan);
  if (error == 0) error = make_time_namespace(image, remaining);
  if (error != 0) give_up(image, Report::JoinFailed, 0, error);
  const pid_t pid = sys::clone_process({.namespaces = remaining, .sibling = true}, nullptr);
  if (pid < 0) give_up(image, Report::JoinFailed, 0, -pid);
  if (pid == 0) return wait_for_launcher(image);
  sys::send_message(image.context.channel, {static_cast<std::int32_t>(Report::Joined), pid, 0});
  ::_exit(0);
}

}  // namespace berth::isolate

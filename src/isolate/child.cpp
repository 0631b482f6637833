#include "isolate/child.hpp"

#include <fcntl.h>
#include <linux/sched.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.hpp"
#include "sys/channel.hpp"
#include "sys/init.hpp"
#include "sys/mount.hpp"
#include "sys/mount_target.hpp"
#include "sys/process.hpp"
#include "sys/terminal.hpp"

namespace berth::isolate {
namespace {

constexpr int kNotFound = 127;
constexpr int kCannotInvoke = 126;
constexpr int kBerthFailed = 125;

[[noreturn]] void give_up(const ChildImage& image, Report report, int first, int error,
                          int exit_code) noexcept {
  sys::send_message(image.channel, {static_cast<std::int32_t>(report), first, error});
  ::_exit(exit_code);
}

void run_steps(const ChildImage& image, const std::vector<std::unique_ptr<ChildStep>>& steps,
               int first) noexcept {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const int error = steps[i]->run();
    if (error != 0) give_up(image, Report::StepFailed, first + static_cast<int>(i), error, kBerthFailed);
  }
}

// The process that goes on is born inside the joined namespaces, as a child of the launcher.
void join(const ChildImage& image) noexcept {
  const JoinTarget& target = *image.plan.join;
  int error = sys::hide_from_ptrace();
  if (error == 0) error = sys::join_namespaces(target.pidfd.get(), target.namespaces);
  if (error != 0) give_up(image, Report::JoinFailed, 0, error, kBerthFailed);
  const pid_t pid = sys::clone_process({.sibling = true}, nullptr);
  if (pid < 0) give_up(image, Report::JoinFailed, 0, -pid, kBerthFailed);
  if (pid == 0) return;
  sys::send_message(image.channel, {static_cast<std::int32_t>(Report::Joined), pid, 0});
  ::_exit(0);
}

int show_console(int slave) noexcept {
  int target = -1;
  if (const int error = sys::open_target("/dev/console", sys::TargetKind::File, true, &target); error != 0)
    return error;
  int mount = -1;
  int error = sys::clone_mount(slave, "", false, &mount);
  if (error == 0) error = sys::attach_mount(mount, target);
  ::close(target);
  if (mount >= 0) ::close(mount);
  return error;
}

int take_terminal(const ChildImage& image) noexcept {
  int master = -1;
  int slave = -1;
  if (const int error = sys::open_terminal(&master, &slave); error != 0) return error;
  if (image.plan.console) {
    if (const int error = show_console(slave); error != 0) return error;
  }
  if (::fchown(slave, image.plan.credentials.uid, static_cast<gid_t>(-1)) != 0) return errno;
  if (const int error =
          sys::send_message(image.channel, {static_cast<std::int32_t>(Report::Terminal), 0, 0}, master);
      error != 0) {
    return error;
  }
  ::close(master);
  if (const int error = sys::adopt_terminal(slave); error != 0) return error;
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(slave, fd) < 0) return errno;
  }
  return 0;
}

int take_descriptors(const Stdio& stdio) noexcept {
  int moved[3];
  // First out of the way of 0-2, so that none is overwritten before it has been copied.
  for (std::size_t i = 0; i < 3; ++i) {
    moved[i] = ::fcntl(stdio.fds[i], F_DUPFD_CLOEXEC, 3);
    if (moved[i] < 0) return errno;
  }
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(moved[fd], fd) < 0) return errno;
  }
  return 0;
}

// Tries the candidates as execvp(3) does: on past those that are missing, EACCES if one was there but not
// allowed.
int execute(const ChildImage& image) noexcept {
  int error = ENOENT;
  for (const std::string& program : image.candidates) {
    ::execve(program.c_str(), const_cast<char* const*>(image.argv.data()),
             const_cast<char* const*>(image.envp.data()));
    if (errno == EACCES)
      error = EACCES;
    else if (errno != ENOENT && errno != ENOTDIR)
      return errno;
  }
  return error;
}

void stay_as_init(const ChildImage& image) noexcept {
  sys::block_all_signals();
  const pid_t workload = sys::clone_process({}, nullptr);
  if (workload < 0) give_up(image, Report::ExecFailed, 0, -workload, kBerthFailed);
  if (workload > 0) sys::run_init(workload);
  sys::reset_signals();
}

// One candidate where the name has a slash, else one for each directory of PATH.
std::vector<std::string> find_candidates(const LaunchPlan& plan) {
  const std::string& program = plan.args.front();
  if (program.find('/') != std::string::npos) return {program};
  std::string path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const std::string& variable : plan.env) {
    if (variable.starts_with("PATH=")) path = variable.substr(5);
  }
  std::vector<std::string> candidates;
  for (const std::string& directory : split(path, ':')) {
    candidates.push_back((directory.empty() ? "." : directory) + "/" + program);
  }
  return candidates;
}

std::vector<const char*> c_strings(const std::vector<std::string>& strings) {
  std::vector<const char*> pointers;
  for (const std::string& text : strings) pointers.push_back(text.c_str());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

ChildImage::ChildImage(LaunchPlan& the_plan, const Stdio& the_stdio, int the_channel)
    : plan(the_plan),
      stdio(the_stdio),
      channel(the_channel),
      candidates(find_candidates(the_plan)),
      argv(c_strings(the_plan.args)),
      envp(c_strings(the_plan.env)) {}

void run_child(ChildImage& image) noexcept {
  sys::ChannelMessage go;
  if (sys::receive_message(image.channel, go, nullptr) != 0) ::_exit(kBerthFailed);  // the launcher died
  sys::reset_signals();
  if (image.plan.join)
    join(image);
  else
    sys::hide_from_ptrace();

  run_steps(image, image.plan.setup, 0);
  if (!image.stdio.tty) ::setsid();
  const int error = image.stdio.tty ? take_terminal(image) : take_descriptors(image.stdio);
  if (error != 0) give_up(image, Report::StdioFailed, 0, error, kBerthFailed);
  sys::close_from(3, true);
  run_steps(image, image.plan.lockdown, static_cast<int>(image.plan.setup.size()));

  if (image.plan.init) stay_as_init(image);
  sys::send_message(image.channel, {static_cast<std::int32_t>(Report::Ready), 0, 0});
  const int failure = execute(image);
  give_up(image, Report::ExecFailed, 0, failure, failure == ENOENT ? kNotFound : kCannotInvoke);
}

}  // namespace berth::isolate

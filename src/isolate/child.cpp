#include "isolate/child.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.hpp"
#include "isolate/child_join.hpp"
#include "sys/channel.hpp"
#include "sys/init.hpp"
#include "sys/mount.hpp"
#include "sys/mount_target.hpp"
#include "sys/process.hpp"
#include "sys/terminal.hpp"

namespace berth::isolate {
namespace {

void run_steps(const ChildImage& image, const ChildSteps& steps, std::size_t first) noexcept {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const int error = steps[i]->run(image.context);
    if (error != 0) give_up(image, Report::StepFailed, static_cast<int>(first + i), error, steps[i]->what());
  }
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
  if (const int error = sys::send_message(image.context.channel,
                                          {static_cast<std::int32_t>(Report::Terminal), 0, 0}, master);
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

bool is_null_device(const struct stat& info) noexcept {
  return S_ISCHR(info.st_mode) && info.st_rdev == ::makedev(1, 3);
}

// A null device that the launcher handed on is the host's, on a mount that is nowhere in the container, where
// CRIU cannot find it again; the container's own does as well. Where it has none, the host's stays.
int take_own_null_device() noexcept {
  int own = -1;
  int error = 0;
  for (int fd = 0; fd < 3 && error == 0; ++fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0 || !is_null_device(info)) continue;
    if (own < 0 && ::lstat("/dev/null", &info) == 0 && is_null_device(info))
      own = ::open("/dev/null", O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own < 0 || ::fstat(own, &info) != 0 || !is_null_device(info)) break;
    if (::dup2(own, fd) < 0) error = errno;
  }
  if (own >= 0) ::close(own);
  return error;
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
  return take_own_null_device();
}

// Tries the candidates as execvp(3) does: on past those that are missing, EACCES if one was there but not
// allowed. `attempt` gives 0 or an errno.
template <typename Attempt>
int first_that_works(const std::vector<std::string>& candidates, Attempt attempt) noexcept {
  int error = ENOENT;
  for (const std::string& program : candidates) {
    const int failed = attempt(program.c_str());
    if (failed == 0) return 0;
    if (failed == EACCES)
      error = EACCES;
    else if (failed != ENOENT && failed != ENOTDIR)
      return failed;
  }
  return error;
}

int execute(const ChildImage& image) noexcept {
  return first_that_works(image.candidates, [&image](const char* program) noexcept {
    ::execve(program, const_cast<char* const*>(image.argv.data()),
             const_cast<char* const*>(image.envp.data()));
    return errno;
  });
}

// Whether execute() stands a chance: who makes a container wants to hear now what its start would hit.
int look_for_program(const ChildImage& image) noexcept {
  return first_that_works(image.candidates, [](const char* program) noexcept {
    struct stat info {};
    if (::stat(program, &info) != 0) return errno;
    if (!S_ISREG(info.st_mode)) return EACCES;
    return ::faccessat(AT_FDCWD, program, X_OK, AT_EACCESS) == 0 ? 0 : errno;
  });
}

// What is close-on-exec is still there while execve(2) looks its program up: by /proc/self/fd that could be a
// file of the host (CVE-2024-21626). And what the launcher has open (a lock, say) must not outlive it here.
void close_what_is_the_launchers(const ChildImage& image) noexcept {
  const LaunchPlan& plan = image.plan;
  const int listener = plan.gate ? plan.gate->listener.get() : -1;
  const int lock = plan.gate ? plan.gate->lock.get() : -1;
  sys::close_all_but(3 + plan.kept_descriptors, {image.context.channel, listener, lock});
}

// From here on it is whoever opened the gate that hears of us.
void wait_at_gate(ChildImage& image) noexcept {
  const Gate& gate = *image.plan.gate;
  if (const int error = look_for_program(image); error != 0) give_up(image, Report::ExecFailed, 0, error);
  // A launcher that died has told nobody of us.
  if (sys::send_message(image.context.channel, {static_cast<std::int32_t>(Report::Ready), 1, 0}) != 0)
    ::_exit(1);
  int connection = -1;
  if (sys::accept_connection(gate.listener.get(), &connection) != 0) ::_exit(1);
  image.context.channel = connection;
  image.past_gate = true;
}

void stay_as_init(const ChildImage& image) noexcept {
  sys::block_all_signals();
  const pid_t workload = sys::clone_process({}, nullptr);
  if (workload < 0) give_up(image, Report::StdioFailed, 0, -workload);
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
      context{the_channel, -1},
      candidates(find_candidates(the_plan)),
      argv(c_strings(the_plan.args)),
      envp(c_strings(the_plan.env)) {}

void run_child(ChildImage& image) noexcept {
  LaunchPlan& plan = image.plan;
  wait_for_launcher(image);
  sys::reset_signals();
  if (needs_second_process(plan)) continue_in_namespaces(image);
  sys::hide_from_ptrace();

  run_steps(image, plan.setup, 0);
  if (!image.stdio.tty) ::setsid();
  const int error = image.stdio.tty ? take_terminal(image) : take_descriptors(image.stdio);
  if (error != 0) give_up(image, Report::StdioFailed, 0, error);
  sys::close_from(3 + plan.kept_descriptors, true);
  run_steps(image, plan.lockdown, plan.setup.size());

  close_what_is_the_launchers(image);
  if (plan.gate) wait_at_gate(image);
  run_steps(image, plan.last, plan.setup.size() + plan.lockdown.size());
  if (plan.init) stay_as_init(image);
  if (!plan.gate) sys::send_message(image.context.channel, {static_cast<std::int32_t>(Report::Ready), 0, 0});
  give_up(image, Report::ExecFailed, 0, execute(image), plan.args.front());
}

}  // namespace berth::isolate

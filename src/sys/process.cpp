#include "sys/process.hpp"

#include <fmt/core.h>
#include <grp.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "base/text.hpp"

namespace berth::sys {
namespace {
int as_errno(long result) noexcept { return result < 0 ? errno : 0; }
}  // namespace

pid_t clone_process(const CloneOptions& options, int* pidfd) noexcept {
  clone_args arguments{};
  arguments.flags = options.namespaces | (options.sibling ? std::uint64_t{CLONE_PARENT} : 0);
  arguments.exit_signal = options.sibling ? 0 : SIGCHLD;  // CLONE_PARENT takes the caller's own
  if (pidfd != nullptr) {
    arguments.flags |= CLONE_PIDFD;
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(pidfd);
  }
  if (options.cgroup >= 0) {
    arguments.flags |= CLONE_INTO_CGROUP;
    arguments.cgroup = static_cast<std::uint64_t>(options.cgroup);
  }
  long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  // A system call filter that cannot look into clone3's arguments says it does not exist; fork's part of
  // clone remains.
  const bool plain = arguments.flags == 0;
  if (pid < 0 && errno == ENOSYS && plain)
    pid = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  return pid < 0 ? -errno : static_cast<pid_t>(pid);
}

Result<Fd> open_pidfd(pid_t pid) {
  const long fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0) return fail_errno(fmt::format("cannot open process {}", pid));
  return Fd(static_cast<int>(fd));
}

Result<void> send_signal(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) return {};
  return fail_errno(fmt::format("cannot send signal {}", signal));
}

bool has_ended(int pidfd) {
  const auto ended = wait_for_end(pidfd, 0);
  return !ended || *ended;
}

Result<bool> wait_for_end(int pidfd, int timeout_ms) {
  pollfd item{pidfd, POLLIN, 0};
  for (;;) {
    const int ready = ::poll(&item, 1, timeout_ms);
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) return fail_errno("cannot wait for a process");
  }
}

Result<std::optional<int>> reap(pid_t pid, bool block) {
  int status = 0;
  for (;;) {
    const pid_t reaped = ::waitpid(pid, &status, block ? 0 : WNOHANG);
    if (reaped == pid) return std::optional<int>(status);
    if (reaped == 0) return std::optional<int>();
    if (errno != EINTR) return fail_errno(fmt::format("cannot wait for process {}", pid));
  }
}

int exit_code_of(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

namespace {
// From Linux 6.15's <linux/pidfd.h>, which Debian 12's headers predate.
struct PidfdInfo {
  std::uint64_t mask;
  std::uint64_t cgroup_id;
  std::uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  std::int32_t exit_code;
};
constexpr unsigned long kPidfdGetInfo = 0xc040ff0bUL;  // _IOWR(0xFF, 11, struct pidfd_info), 64 bytes
constexpr std::uint64_t kPidfdInfoExit = 1U << 3;
static_assert(sizeof(PidfdInfo) == 64);
}  // namespace

// The fields of /proc/PID/stat from the third on: the command name before them, in parentheses, may hold
// anything.
static Result<std::vector<std::string>> stat_fields(pid_t pid) {
  const std::string stat = TRY(read_file(fmt::format("/proc/{}/stat", pid)));
  const auto behind = stat.rfind(')');
  if (behind == std::string::npos || behind + 2 > stat.size()) {
    return fail(Code::Internal, fmt::format("/proc/{}/stat: no command name", pid));
  }
  return split(trim(std::string_view(stat).substr(behind + 2)), ' ');
}

// proc(5): field 3 is the state, field 52 the exit status as wait(2) gives it.
static std::optional<int> zombie_status(pid_t pid) {
  const auto fields = stat_fields(pid);
  if (!fields || fields->size() < 50 || fields->front() != "Z") return std::nullopt;
  const auto status = parse_u64((*fields)[49]);
  return status ? std::optional(static_cast<int>(*status)) : std::nullopt;
}

std::optional<int> foreign_exit_status(pid_t pid, int pidfd) {
  // The number may by now be another process's; only while ours is a zombie it cannot be.
  const auto zombie = zombie_status(pid);
  PidfdInfo info{};
  info.mask = kPidfdInfoExit;
  const bool told = ::ioctl(pidfd, kPidfdGetInfo, &info) == 0;
  if (told && (info.mask & kPidfdInfoExit) != 0) return info.exit_code;
  return zombie;
}

Result<ProcessStat> look_up_process(pid_t pid) {
  const auto fields = TRY(stat_fields(pid));
  const auto start = fields.size() > 19 ? parse_u64(fields[19]) : std::nullopt;
  if (!start || fields.front().empty())
    return fail(Code::Internal, fmt::format("/proc/{}/stat: no start time", pid));
  return ProcessStat{fields.front().front(), *start};
}

Result<std::uint64_t> process_start_time(pid_t pid) { return TRY(look_up_process(pid)).start_time; }

Result<int> differing_namespaces(pid_t pid) {
  struct Kind {
    const char* name;
    int flag;
  };
  constexpr std::array<Kind, 8> kKinds = {{{"user", CLONE_NEWUSER},
                                           {"mnt", CLONE_NEWNS},
                                           {"pid", CLONE_NEWPID},
                                           {"net", CLONE_NEWNET},
                                           {"ipc", CLONE_NEWIPC},
                                           {"uts", CLONE_NEWUTS},
                                           {"cgroup", CLONE_NEWCGROUP},
                                           {"time", CLONE_NEWTIME}}};
  int flags = 0;
  for (const Kind& kind : kKinds) {
    const auto theirs = read_link(fmt::format("/proc/{}/ns/{}", pid, kind.name));
    const auto ours = read_link(fmt::format("/proc/self/ns/{}", kind.name));
    if (!theirs && theirs.error().sys_errno != ENOENT) return fail(theirs.error());
    if (theirs && ours && *theirs != *ours) flags |= kind.flag;
  }
  return flags;
}

Result<void> check_namespace(int fd, int kind) {
  if (::ioctl(fd, NS_GET_NSTYPE) == kind) return {};
  return fail(Code::InvalidArgument, "is not a namespace of that type");
}

Result<void> probe_namespaces() {
  constexpr std::array<std::pair<const char*, int>, 6> kNeeded = {{{"mount", CLONE_NEWNS},
                                                                   {"pid", CLONE_NEWPID},
                                                                   {"network", CLONE_NEWNET},
                                                                   {"ipc", CLONE_NEWIPC},
                                                                   {"uts", CLONE_NEWUTS},
                                                                   {"cgroup", CLONE_NEWCGROUP}}};
  const pid_t pid = clone_process({}, nullptr);
  if (pid < 0) return fail_errno("cannot start a process", -pid);
  if (pid == 0) {
    for (std::size_t i = 0; i < kNeeded.size(); ++i) {
      if (::unshare(kNeeded[i].second) != 0) ::_exit(static_cast<int>(i) + 1);
    }
    ::_exit(0);
  }
  const auto status = TRY(reap(pid, true));
  const auto failed = static_cast<std::size_t>(exit_code_of(*status));
  if (failed == 0) return {};
  return fail(Code::FailedPrecondition,
              fmt::format("this machine refuses a new {} namespace",
                          failed <= kNeeded.size() ? kNeeded[failed - 1].first : "?"));
}

int join_namespaces(int pidfd, int namespaces) noexcept {
  return namespaces == 0 ? 0 : as_errno(::setns(pidfd, namespaces));
}

int new_namespaces(int namespaces) noexcept { return as_errno(::unshare(namespaces)); }

int set_hostname(const char* name, std::size_t length) noexcept {
  return as_errno(::sethostname(name, length));
}

int bring_up_loopback() noexcept {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  return as_errno(::ioctl(socket.get(), SIOCSIFFLAGS, &request));
}

int hide_from_ptrace() noexcept { return as_errno(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)); }
int set_no_new_privileges() noexcept { return as_errno(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); }
int set_child_subreaper() noexcept { return as_errno(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)); }

int set_user(uid_t uid, gid_t gid, const gid_t* groups, std::size_t count, bool set_groups) noexcept {
  // The raw calls: glibc's wrappers signal every thread, which a fresh child has none of.
  if (set_groups && ::syscall(SYS_setgroups, count, groups) != 0) return errno;
  if (::syscall(SYS_setresgid, gid, gid, gid) != 0) return errno;
  return as_errno(::syscall(SYS_setresuid, uid, uid, uid));
}

bool may_set_groups() noexcept {
  // Asked of the kernel, not read from /proc, which may be of a container's making. It looks at the right
  // first and at the count then, of which this is one too many.
  constexpr long kTooMany = 65537;
  return ::syscall(SYS_setgroups, kTooMany, nullptr) == 0 || errno != EPERM;
}

int adopt_terminal(int fd) noexcept {
  if (::setsid() < 0 && errno != EPERM) return errno;
  return as_errno(::ioctl(fd, TIOCSCTTY, 0));
}

int reset_signals() noexcept {
  // The kernel's struct sigaction: all zero is SIG_DFL. By the raw call, as glibc's refuses 32 and 33, which
  // its own posix_spawn(3) leaves ignored in what it starts (make's children, say).
  constexpr std::array<std::uint64_t, 4> kDefault{};
  constexpr std::size_t kMaskBytes = 8;
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP)
      ::syscall(SYS_rt_sigaction, number, kDefault.data(), nullptr, kMaskBytes);
  }
  sigset_t none;
  ::sigemptyset(&none);
  return as_errno(::sigprocmask(SIG_SETMASK, &none, nullptr));
}

void close_all_but(int first_fd, std::initializer_list<int> kept) noexcept {
  std::array<int, 8> sorted{};
  const std::size_t count = std::min(kept.size(), sorted.size());
  std::copy_n(kept.begin(), count, sorted.begin());
  std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count));
  int from = first_fd;
  for (std::size_t i = 0; i < count; ++i) {
    if (sorted[i] < from) continue;
    if (sorted[i] > from)
      ::syscall(SYS_close_range, static_cast<unsigned>(from), static_cast<unsigned>(sorted[i]) - 1, 0U);
    from = sorted[i] + 1;
  }
  close_from(from, false);
}

int close_from(int first_fd, bool only_mark) noexcept {
  constexpr unsigned kCloseOnExec = 1U << 2;  // CLOSE_RANGE_CLOEXEC
  return as_errno(
      ::syscall(SYS_close_range, static_cast<unsigned>(first_fd), ~0U, only_mark ? kCloseOnExec : 0U));
}

}  // namespace berth::sys

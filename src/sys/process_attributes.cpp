#include "sys/process_attributes.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

int set_personality(Personality personality) noexcept {
  const unsigned long domain = personality == Personality::Linux32 ? PER_LINUX32 : PER_LINUX;
  return ::personality(domain) < 0 ? errno : 0;
}

int join_new_session_keyring(const char* name) noexcept {
  return ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name) < 0 ? errno : 0;
}

int set_domainname(const char* name, std::size_t length) noexcept {
  return ::setdomainname(name, length) == 0 ? 0 : errno;
}

Result<void> set_oom_score_adjustment(pid_t pid, int score) {
  return write_file(fmt::format("/proc/{}/oom_score_adj", pid), std::to_string(score));
}

Result<int> oom_score_adjustment(pid_t pid) {
  const auto score = parse_i64(trim(TRY(read_file(fmt::format("/proc/{}/oom_score_adj", pid)))));
  if (!score) return fail(Code::Internal, fmt::format("/proc/{}/oom_score_adj: not a number", pid));
  return static_cast<int>(*score);
}

std::string time_offset_line(std::string_view clock, std::int64_t seconds, std::uint32_t nanoseconds) {
  return fmt::format("{} {} {}\n", clock, seconds, nanoseconds);
}

int make_time_namespace(const char* offsets, std::size_t length) noexcept {
  if (::unshare(CLONE_NEWTIME) != 0) return errno;
  if (length == 0) return 0;
  // A process that hides from ptrace does not own its files in /proc; in a user namespace nobody there does.
  const int dumpable = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  const Fd file(::open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC));
  const int open_error = file ? 0 : errno;
  ::prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0);
  if (open_error != 0) return open_error;
  return ::write(file.get(), offsets, length) < 0 ? errno : 0;
}

}  // namespace berth::sys

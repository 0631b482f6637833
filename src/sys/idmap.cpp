#include "sys/idmap.hpp"

#include <fmt/core.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "sys/process.hpp"

namespace berth::sys {
namespace {

Result<Fd> map_ids(pid_t pid, std::uint32_t host_start, std::uint32_t count) {
  const std::string mapping = fmt::format("0 {} {}\n", host_start, count);
  TRY(write_file(fmt::format("/proc/{}/uid_map", pid), mapping));
  TRY(write_file(fmt::format("/proc/{}/gid_map", pid), mapping));
  return open(fmt::format("/proc/{}/ns/user", pid), O_RDONLY);
}

}  // namespace

Result<Fd> make_id_mapping(std::uint32_t host_start, std::uint32_t count) {
  // A namespace exists by a process in it: one that only waits until the namespace has been opened.
  const pid_t pid = clone_process({.namespaces = CLONE_NEWUSER}, nullptr);
  if (pid < 0) return fail_errno("cannot make a user namespace", -pid);
  if (pid == 0) {
    for (;;) ::pause();
  }
  auto opened = map_ids(pid, host_start, count);
  ::kill(pid, SIGKILL);
  TRY(reap(pid, true));
  return TRY_DURING("cannot map users", std::move(opened));
}

}  // namespace berth::sys

#include "sys/idmap.hpp"

#include <fmt/core.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "sys/process.hpp"

namespace berth::sys {
namespace {

Result<Fd> map_ids(pid_t pid, std::span<const IdRange> users, std::span<const IdRange> groups) {
  TRY(write_file(fmt::format("/proc/{}/uid_map", pid), id_map_text(users)));
  TRY(write_file(fmt::format("/proc/{}/gid_map", pid), id_map_text(groups)));
  return open(fmt::format("/proc/{}/ns/user", pid), O_RDONLY);
}

}  // namespace

std::string id_map_text(std::span<const IdRange> ranges) {
  std::string text;
  for (const IdRange& range : ranges)
    text += fmt::format("{} {} {}\n", range.inside, range.outside, range.count);
  return text;
}

Result<Fd> make_id_mapping(std::uint32_t host_start, std::uint32_t count) {
  const IdRange range{0, host_start, count};
  return make_id_mapping({&range, 1}, {&range, 1});
}

Result<Fd> make_id_mapping(std::span<const IdRange> users, std::span<const IdRange> groups) {
  // A namespace exists by a process in it: one that only waits until the namespace has been opened.
  const pid_t pid = clone_process({.namespaces = CLONE_NEWUSER}, nullptr);
  if (pid < 0) return fail_errno("cannot make a user namespace", -pid);
  if (pid == 0) {
    for (;;) ::pause();
  }
  auto opened = map_ids(pid, users, groups);
  ::kill(pid, SIGKILL);
  TRY(reap(pid, true));
  return TRY_DURING("cannot map users", std::move(opened));
}

}  // namespace berth::sys

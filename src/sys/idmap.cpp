#include "sys/idmap.hpp"

#include <fmt/core.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "base/text.hpp"
#include "sys/command.hpp"
#include "sys/process.hpp"

namespace berth::sys {
namespace {

Result<Fd> map_ids(pid_t pid, std::span<const IdRange> users, std::span<const IdRange> groups) {
  TRY(write_id_maps(pid, users, groups));
  return open(fmt::format("/proc/{}/ns/user", pid), O_RDONLY);
}

// "newuidmap PID 0 100000 65536 ..."
Result<void> map_by_command(const char* program, pid_t pid, std::span<const IdRange> ranges) {
  std::vector<std::string> words = {program, std::to_string(pid)};
  for (const IdRange& range : ranges) {
    for (const std::uint32_t number : {range.inside, range.outside, range.count})
      words.push_back(std::to_string(number));
  }
  const auto output = TRY(run_command(words, {}));
  if (output.exit_code == 0) return {};
  return fail(Code::FailedPrecondition,
              fmt::format("{} fails with exit code {}", join(words, " "), output.exit_code));
}

Result<void> write_map(pid_t pid, const char* file, std::span<const IdRange> ranges) {
  return write_file(fmt::format("/proc/{}/{}", pid, file), id_map_text(ranges));
}

}  // namespace

Result<void> write_id_maps(pid_t pid, std::span<const IdRange> users, std::span<const IdRange> groups) {
  auto written = write_map(pid, "uid_map", users);
  if (!written && written.error().sys_errno == EPERM) written = map_by_command("newuidmap", pid, users);
  TRY(std::move(written));
  written = write_map(pid, "gid_map", groups);
  if (written || written.error().sys_errno != EPERM) return written;
  const bool own_alone = groups.size() == 1 && groups[0].count == 1 && groups[0].outside == ::getegid();
  if (!own_alone) return map_by_command("newgidmap", pid, groups);
  TRY(write_file(fmt::format("/proc/{}/setgroups", pid), "deny"));
  return write_map(pid, "gid_map", groups);
}

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

#include "sys/cgroup.hpp"

#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "sys/cgroup_v1.hpp"
#include "sys/cgroup_v2.hpp"

namespace berth::sys {
namespace {

constexpr int kFreezeTimeoutMs = 10000;
constexpr int kKillTimeoutMs = 10000;

// Relative, and without any step that could lead out of the base.
bool is_plain_path(const std::string& path) {
  const std::vector<std::string> parts = split(path, '/');
  return !parts.empty() && std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
    return !part.empty() && part != "." && part != "..";
  });
}

Result<void> check_path(const std::string& path) {
  if (is_plain_path(path)) return {};
  return fail(Code::InvalidArgument, fmt::format("cannot use \"{}\" as the name of a control group", path));
}

}  // namespace

Result<std::unique_ptr<Cgroup>> Cgroup::create(const CgroupHost& host, const std::string& path,
                                               const Resources& resources) {
  TRY(check_path(path));
  TRY(resources.check());
  if (host.mode == CgroupMode::None || !host.writable) {
    const std::vector<std::string_view> flags = resources.flags();
    return fail(Code::FailedPrecondition,
                fmt::format("{}: {}", flags.empty() ? "cannot make a control group" : flags[0],
                            host.why_not("freezer")));
  }
  if (host.mode == CgroupMode::V2) return V2Cgroup::create(host, path, resources);
  return V1Cgroup::create(host, path, resources);
}

Result<std::unique_ptr<Cgroup>> Cgroup::open(const CgroupHost& host, const std::string& path) {
  TRY(check_path(path));
  if (host.mode == CgroupMode::None || !host.writable) {
    return fail(Code::NotFound,
                fmt::format("there is no control group {}: {}", path, host.why_not("freezer")));
  }
  if (host.mode == CgroupMode::V2) return V2Cgroup::open(host, path);
  return V1Cgroup::open(host, path);
}

Result<std::unique_ptr<Cgroup>> Cgroup::keep_if(Result<void> filled, std::unique_ptr<Cgroup> group) {
  if (filled) return group;
  static_cast<void>(group->remove());
  return fail(std::move(filled).error());
}

Result<void> Cgroup::freeze(bool wanted) {
  const bool reached = TRY(wait_until(kFreezeTimeoutMs, [&]() -> Result<bool> {
    TRY(request_freeze(wanted));
    return TRY(frozen()) == wanted;
  }));
  if (reached) return {};
  if (wanted) TRY(request_freeze(false));
  return fail(Code::DeadlineExceeded,
              fmt::format("cannot {} {}: a process in it does not react within {} s",
                          wanted ? "pause" : "unpause", path_, kFreezeTimeoutMs / 1000));
}

Result<void> Cgroup::kill_all() {
  if (TRY(remove_if_empty())) return {};
  const bool empty = TRY(wait_until(kKillTimeoutMs, [&]() -> Result<bool> {
    if (TRY(is_empty())) return true;
    TRY(kill_once());
    return false;
  }));
  if (empty) return remove();
  return fail(Code::DeadlineExceeded,
              fmt::format("cannot kill all processes of {}: {} are stuck in the kernel", path_,
                          join_pids(TRY(pids()))));
}

Result<void> Cgroup::signal_all(int signal) {
  for (const pid_t pid : TRY(pids())) {
    // 0: one that this PID namespace does not see, which kill(2) would take for ourselves.
    if (pid > 0 && ::kill(pid, signal) != 0 && errno != ESRCH)
      return fail_errno(fmt::format("cannot send signal {} to process {}", signal, pid));
  }
  return {};
}

}  // namespace berth::sys

#include "sys/cgroup_v2.hpp"

#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "sys/cgroup_limits.hpp"
#include "sys/cgroup_stats.hpp"
#include "sys/device_program.hpp"

namespace berth::sys {
namespace {

// Enabled for every unit, for its figures and its fair share; cpuset only when asked for.
constexpr std::array<std::string_view, 4> kAlways = {"cpu", "memory", "pids", "io"};

bool contains(const std::vector<std::string>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::vector<std::string> wanted_controllers(const CgroupHost& host) {
  std::vector<std::string> wanted;
  for (const std::string_view name : kAlways) {
    if (contains(host.v2_controllers, name)) wanted.emplace_back(name);
  }
  return wanted;
}

// In `base` and in every group above the leaf of `path`.
Result<void> enable_down_to(const std::string& base, const std::string& path,
                            const std::vector<std::string>& names) {
  if (names.empty()) return {};
  std::string at = base;
  TRY(enable_controllers(at, names));
  std::vector<std::string> parts = split(path, '/');
  parts.pop_back();
  for (const std::string& part : parts) {
    at += "/" + part;
    TRY(enable_controllers(at, names));
  }
  return {};
}

Result<void> move_processes_to_child(const std::string& group) {
  const CgroupDir child = TRY(CgroupDir::make(group, "berth-host"));
  const std::string text = TRY(read_file(group + "/cgroup.procs"));
  for (const std::string& line : split(text, '\n')) {
    const auto pid = parse_i64(line);
    if (!pid) continue;
    auto moved = child.attach(static_cast<pid_t>(*pid));
    if (!moved && moved.error().sys_errno != ESRCH) return fail(std::move(moved).error());
  }
  return {};
}

}  // namespace

Result<void> enable_controllers(const std::string& group, const std::vector<std::string>& controllers) {
  const std::string file = group + "/cgroup.subtree_control";
  const std::vector<std::string> enabled = split(trim(TRY(read_file(file))), ' ');
  std::string missing;
  for (const std::string& name : controllers) {
    if (!contains(enabled, name)) missing += (missing.empty() ? "+" : " +") + name;
  }
  if (missing.empty()) return {};
  auto written = write_file(file, missing);
  for (int attempt = 0; attempt < 3 && !written && written.error().sys_errno == EBUSY; ++attempt) {
    TRY_DURING(fmt::format("cannot enable {} in {}", missing, group), move_processes_to_child(group));
    written = write_file(file, missing);
  }
  TRY_DURING(fmt::format("cannot enable {} for the groups below {}", missing, group), std::move(written));
  return {};
}

Result<std::unique_ptr<Cgroup>> V2Cgroup::create(const CgroupHost& host, const std::string& path,
                                                 const Resources& resources) {
  CgroupDir dir = TRY(CgroupDir::make(host.v2_base, path));
  std::unique_ptr<V2Cgroup> group(new V2Cgroup(host, path, std::move(dir)));
  const auto fill = [&]() -> Result<void> {
    TRY(enable_down_to(host.v2_base, path, wanted_controllers(host)));
    return group->apply(resources);
  };
  auto filled = fill();
  return keep_if(std::move(filled), std::move(group));
}

Result<std::unique_ptr<Cgroup>> V2Cgroup::open(const CgroupHost& host, const std::string& path) {
  auto dir = TRY(CgroupDir::open(host.v2_base, path));
  if (!dir) return fail(Code::NotFound, fmt::format("there is no control group {}", path));
  return std::unique_ptr<Cgroup>(new V2Cgroup(host, path, *std::move(dir)));
}

Result<void> V2Cgroup::attach(pid_t pid) { return dir_.attach(pid); }

Result<void> V2Cgroup::require(const CgroupSetting& setting) {
  if (setting.controller.empty()) return {};
  if (const std::string why = host_.why_not(setting.controller); !why.empty()) {
    return fail(Code::FailedPrecondition, fmt::format("{}: {}", setting.flag, why));
  }
  const bool enabled = std::find(kAlways.begin(), kAlways.end(), setting.controller) != kAlways.end();
  if (!enabled && setting.controller != "devices")
    TRY_DURING(setting.flag, enable_down_to(host_.v2_base, path_, {std::string(setting.controller)}));
  return {};
}

// memory.max below what is in use would kill: what can be reclaimed goes first, and if that is too little,
// nothing changes.
Result<void> V2Cgroup::make_room(std::uint64_t memory_bytes) {
  const std::uint64_t used = TRY(dir_.read_number("memory.current")).value_or(0);
  if (used <= memory_bytes) return {};
  // Asking is all: it fails with EAGAIN where less came free (and is missing before Linux 5.19).
  static_cast<void>(dir_.write("memory.reclaim", std::to_string(used - memory_bytes)));
  const std::uint64_t left = TRY(dir_.read_number("memory.current")).value_or(0);
  if (left <= memory_bytes) return {};
  return fail(Code::FailedPrecondition, fmt::format("--memory {}: {} are in use: free some or ask for more",
                                                    format_size(memory_bytes), format_size(left)));
}

Result<void> V2Cgroup::apply(const Resources& resources) {
  if (resources.empty()) return {};
  TRY(resources.check());
  const IoWeighing weighing = resources.io_weight ? probe_io_weighing(host_.v2_mount) : IoWeighing::None;
  for (const CgroupSetting& setting : TRY(v2_settings(resources, weighing))) {
    TRY(require(setting));
    if (setting.file == "memory.max") TRY(make_room(*resources.memory_bytes));
    TRY(dir_.set(setting));
  }
  return {};
}

Result<void> V2Cgroup::set_devices(const std::vector<DeviceRule>& rules) {
  TRY_DURING("device rules", attach_device_program(dir_.fd(), rules));
  return {};
}

Result<void> V2Cgroup::set(const CgroupSetting& setting) {
  TRY(require(setting));
  return dir_.set(setting);
}

Result<std::optional<std::string>> V2Cgroup::read(std::string_view, const std::string& file) {
  if (!dir_.has(file)) return std::optional<std::string>();
  return std::optional<std::string>(TRY(dir_.read(file)));
}

Result<void> V2Cgroup::delegate(uid_t uid, gid_t gid) {
  // runtime-spec, config-linux.md, "Cgroup ownership"; the list where the kernel gives none is its own as
  // well.
  const std::string names =
      read_file("/sys/kernel/cgroup/delegate")
          .value_or(std::string("cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n"));
  return dir_.give_to(uid, gid, split(names, '\n'));
}

Result<void> V2Cgroup::request_freeze(bool frozen) { return dir_.write("cgroup.freeze", frozen ? "1" : "0"); }

Result<bool> V2Cgroup::frozen() { return flat_value(TRY(dir_.read("cgroup.events")), "frozen") == 1; }

Result<std::vector<pid_t>> V2Cgroup::pids() { return dir_.pids(); }

Result<CgroupStats> V2Cgroup::stats() { return read_v2_stats(dir_); }

Result<bool> V2Cgroup::is_empty() {
  const auto events = dir_.read("cgroup.events");
  return !events || flat_value(*events, "populated") == 0;  // or removed
}

Result<void> V2Cgroup::kill_once() {
  auto killed = dir_.write("cgroup.kill", "1");
  if (killed || killed.error().sys_errno != ENOENT) return killed;
  return signal_all(SIGKILL);  // before Linux 5.14
}

Result<bool> V2Cgroup::remove_if_empty() { return try_remove_group(dir_.path()); }

Result<void> V2Cgroup::remove() { return remove_group(dir_.path()); }

}  // namespace berth::sys

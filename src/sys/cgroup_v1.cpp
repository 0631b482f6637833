#include "sys/cgroup_v1.hpp"

#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "sys/cgroup_limits.hpp"
#include "sys/cgroup_stats.hpp"

namespace berth::sys {
namespace {

// Made for every unit: tracking and pausing, figures, and a unit's own share of the processors. Each costs
// about 14 us to make, 7 to enter and 7 to remove. The cpuset costs 114 us to make and the devices group a
// write for each rule: those two come when they are asked for.
constexpr std::array<std::string_view, 6> kAlways = {"freezer", "cpu", "cpuacct", "memory", "pids", "blkio"};

constexpr int kAdoptTimeoutMs = 10000;
constexpr int kFreezeBeforeKillMs = 500;

// A new cpuset is empty and takes nobody in: each level starts with what the one above has.
Result<void> fill_cpuset(const std::string& base, const std::string& path) {
  std::string above = base;
  for (const std::string& part : split(path, '/')) {
    const std::string level = above + "/" + part;
    for (const std::string_view file : {"/cpuset.cpus", "/cpuset.mems"}) {
      const std::string name = level + std::string(file);
      if (!trim(TRY(read_file(name))).empty()) continue;
      TRY(write_file(name, trim(TRY(read_file(above + std::string(file))))));
    }
    above = level;
  }
  return {};
}

}  // namespace

bool V1Cgroup::Part::holds(std::string_view controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

V1Cgroup::V1Cgroup(const CgroupHost& host, std::string path) : Cgroup(std::move(path)), host_(host) {
  for (const CgroupHost::Hierarchy& hierarchy : host.v1) {
    if (hierarchy.base.empty()) continue;  // a named one that is not ours
    parts_.push_back({hierarchy.controllers, hierarchy.base, std::nullopt, false});
  }
  std::stable_partition(parts_.begin(), parts_.end(), [](const Part& part) { return part.holds("freezer"); });
}

Result<std::unique_ptr<Cgroup>> V1Cgroup::create(const CgroupHost& host, const std::string& path,
                                                 const Resources& resources) {
  std::unique_ptr<V1Cgroup> group(new V1Cgroup(host, path));
  const auto fill = [&]() -> Result<void> {
    for (Part& part : group->parts_) {
      const bool always =
          std::any_of(kAlways.begin(), kAlways.end(), [&](auto name) { return part.holds(name); });
      if (always) TRY(group->make_dir(part));
    }
    return group->apply(resources);
  };
  auto filled = fill();
  return keep_if(std::move(filled), std::move(group));
}

Result<std::unique_ptr<Cgroup>> V1Cgroup::open(const CgroupHost& host, const std::string& path) {
  std::unique_ptr<V1Cgroup> group(new V1Cgroup(host, path));
  for (Part& part : group->parts_) {  // the others when they are needed
    if (TRY(group->look(part)) != nullptr) return std::unique_ptr<Cgroup>(std::move(group));
  }
  return fail(Code::NotFound, fmt::format("there is no control group {}", path));
}

V1Cgroup::Part* V1Cgroup::find(std::string_view controller) {
  const auto found =
      std::find_if(parts_.begin(), parts_.end(), [&](const Part& part) { return part.holds(controller); });
  return found == parts_.end() ? nullptr : &*found;
}

std::string V1Cgroup::directory(const Part& part) const { return part.base + "/" + path_; }

Result<const CgroupDir*> V1Cgroup::look(Part& part) {
  if (!part.looked) part.dir = TRY(CgroupDir::open(part.base, path_));
  part.looked = true;
  return part.dir ? &*part.dir : nullptr;
}

Result<const CgroupDir*> V1Cgroup::dir_of(std::string_view controller) {
  Part* const part = find(controller);
  return part == nullptr ? nullptr : TRY(look(*part));
}

Result<void> V1Cgroup::make_dir(Part& part) {
  part.dir = TRY(CgroupDir::make(part.base, path_));
  part.looked = true;
  if (part.holds("cpuset")) TRY(fill_cpuset(part.base, path_));
  return {};
}

Result<const CgroupDir*> V1Cgroup::require(std::string_view controller, std::string_view why) {
  Part* const part = find(controller);
  if (part == nullptr)
    return fail(Code::FailedPrecondition, fmt::format("{}: {}", why, host_.why_not(controller)));
  if (TRY(look(*part)) == nullptr) {
    TRY_DURING(why, make_dir(*part));
    TRY_DURING(why, adopt_processes(*part->dir));
  }
  return &*part->dir;
}

Result<void> V1Cgroup::adopt_processes(const CgroupDir& dir) {
  // What a member forks is born where its parent is, so a few rounds reach everybody.
  TRY(wait_until(kAdoptTimeoutMs, [&]() -> Result<bool> {
    const std::vector<pid_t> inside = TRY(dir.pids());
    bool complete = true;
    for (const pid_t pid : TRY(pids())) {
      if (std::find(inside.begin(), inside.end(), pid) != inside.end()) continue;
      complete = false;
      auto moved = dir.attach(pid);
      if (!moved && moved.error().sys_errno != ESRCH) return fail(std::move(moved).error());
    }
    return complete;
  }));
  return {};
}

Result<void> V1Cgroup::attach(pid_t pid) {
  for (Part& part : parts_) {
    if (const CgroupDir* dir = TRY(look(part))) TRY(dir->attach(pid));
  }
  return {};
}

Result<Resources> V1Cgroup::with_kept_memory(const Resources& resources) {
  const CgroupDir* dir = TRY(dir_of("memory"));
  if (dir == nullptr || (!resources.memory_bytes && !resources.swap_bytes)) return resources;
  const auto limited = [](std::optional<std::uint64_t> value) {
    constexpr std::uint64_t kUnlimited = std::uint64_t{INT64_MAX} & ~std::uint64_t{4095};
    return value && *value < kUnlimited ? value : std::nullopt;
  };
  V1MemoryBefore before;
  before.memory_bytes = limited(TRY(dir->read_number("memory.limit_in_bytes")));
  if (dir->has("memory.memsw.limit_in_bytes")) {
    before.memory_swap_bytes = limited(TRY(dir->read_number("memory.memsw.limit_in_bytes")));
  }
  return with_memory_kept(resources, before);
}

Result<void> V1Cgroup::apply(const Resources& resources) {
  if (resources.empty()) return {};
  TRY(resources.check());
  const IoWeighing weighing = resources.io_weight ? probe_io_weighing("") : IoWeighing::None;
  for (const CgroupSetting& setting : TRY(v1_settings(TRY(with_kept_memory(resources)), weighing))) {
    TRY(set(setting));
  }
  return {};
}

Result<void> V1Cgroup::set_devices(const std::vector<DeviceRule>& rules) {
  const CgroupDir* dir = TRY(require("devices", "device rules"));
  const Fd allow = TRY_DURING("device rules", dir->open_to_write("devices.allow"));
  const Fd deny = TRY_DURING("device rules", dir->open_to_write("devices.deny"));
  for (const DeviceRule& rule : rules) {
    const std::string line = v1_device_line(rule);
    if (::write((rule.allow ? allow : deny).get(), line.data(), line.size()) < 0)
      return fail_errno(fmt::format("device rules: cannot {} \"{}\"", rule.allow ? "allow" : "deny", line));
  }
  return {};
}

Result<void> V1Cgroup::set(const CgroupSetting& setting) {
  return TRY(require(setting.controller, setting.flag))->set(setting);
}

Result<std::optional<std::string>> V1Cgroup::read(std::string_view controller, const std::string& file) {
  const CgroupDir* dir = TRY(dir_of(controller));
  if (dir == nullptr || !dir->has(file)) return std::optional<std::string>();
  return std::optional<std::string>(TRY(dir->read(file)));
}

Result<void> V1Cgroup::make_everywhere() {
  for (Part& part : parts_) {
    if (TRY(look(part)) == nullptr) TRY(make_dir(part));
  }
  return {};
}

Result<void> V1Cgroup::delegate(uid_t, gid_t) {
  return fail(Code::FailedPrecondition, "cgroup v1 has no safe way to hand a group to a user");
}

Result<void> V1Cgroup::request_freeze(bool frozen) {
  const CgroupDir* dir = TRY(require("freezer", frozen ? "pause" : "unpause"));
  return dir->write("freezer.state", frozen ? "FROZEN" : "THAWED");
}

Result<bool> V1Cgroup::frozen() {
  const CgroupDir* dir = TRY(dir_of("freezer"));
  return dir != nullptr && trim(TRY(dir->read("freezer.state"))) == "FROZEN";
}

Result<std::vector<pid_t>> V1Cgroup::pids() {
  for (Part& part : parts_) {  // the freezer's, the first, unless the group is there by half only
    if (const CgroupDir* dir = TRY(look(part))) return dir->pids();
  }
  return std::vector<pid_t>{};
}

Result<CgroupStats> V1Cgroup::stats() {
  return read_v1_stats({TRY(dir_of("cpu")), TRY(dir_of("cpuacct")), TRY(dir_of("memory")),
                        TRY(dir_of("pids")), TRY(dir_of("blkio"))});
}

// Frozen first, so that nobody forks, exits or has its number reused in between; whoever cannot freeze is
// killed all the same.
Result<void> V1Cgroup::kill_once() {
  const CgroupDir* freezer = TRY(dir_of("freezer"));
  if (freezer != nullptr) {
    TRY(wait_until(kFreezeBeforeKillMs, [&]() -> Result<bool> {
      TRY(freezer->write("freezer.state", "FROZEN"));
      return frozen();
    }));
  }
  TRY(signal_all(SIGKILL));
  // Also what the workload froze by itself: a frozen process does not die.
  if (freezer != nullptr) TRY(write_below(freezer->path(), "freezer.state", "THAWED"));
  return {};
}

Result<bool> V1Cgroup::is_empty() {
  auto left = pids();
  if (!left && left.error().code == Code::NotFound) return true;
  return TRY(std::move(left)).empty();
}

Result<bool> V1Cgroup::remove_if_empty() {
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    if (!TRY(try_remove_group(directory(*part)))) return false;
    part->dir.reset();
    part->looked = true;
  }
  return true;
}

Result<void> V1Cgroup::remove() {
  for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
    TRY(remove_group(directory(*part)));
    part->dir.reset();
    part->looked = true;
  }
  return {};
}

std::vector<std::string> V1Cgroup::directories() const {
  std::vector<std::string> paths;
  for (const Part& part : parts_) {
    if (part.looked ? part.dir.has_value() : exists(directory(part))) paths.push_back(directory(part));
  }
  return paths;
}

}  // namespace berth::sys

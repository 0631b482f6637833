#include "sys/cgroup_limits.hpp"

#include <dirent.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace berth::sys {
namespace {

constexpr std::uint64_t kPeriodUs = 100000;
constexpr std::uint64_t kMinQuotaUs = 1000;
constexpr std::uint64_t kDefaultShares = 1024;  // v1's word for v2's default weight of 100
constexpr std::uint64_t kDefaultWeight = 100;
constexpr std::uint64_t kMinShares = 2;
constexpr std::uint64_t kMaxBfqWeight = 1000;

std::uint64_t quota_us(double cpus) {
  return std::max(kMinQuotaUs, static_cast<std::uint64_t>(cpus * static_cast<double>(kPeriodUs) + 0.5));
}

std::uint64_t shares(std::uint64_t weight) {
  return std::max(kMinShares, weight * kDefaultShares / kDefaultWeight);
}

struct CloseDir {
  void operator()(DIR* stream) const { ::closedir(stream); }
};

bool a_disk_uses_bfq() {
  const std::unique_ptr<DIR, CloseDir> stream(::opendir("/sys/block"));
  while (const dirent* entry = stream ? ::readdir(stream.get()) : nullptr) {
    const auto schedulers = read_file(fmt::format("/sys/block/{}/queue/scheduler", entry->d_name));
    if (schedulers && schedulers->find("[bfq]") != std::string::npos) return true;
  }
  return false;
}

Result<void> require_weighing(std::uint64_t weight, IoWeighing weighing, bool v2) {
  if (weighing == IoWeighing::None) {
    return fail(
        Code::FailedPrecondition,
        fmt::format(
            "--io-weight: no disk scheduler of this machine keeps weights: choose bfq for a disk (echo "
            "bfq > /sys/block/DISK/queue/scheduler){}, or use --io-max",
            v2 ? " or enable io.cost.qos" : ""));
  }
  if (weighing == IoWeighing::Bfq && weight > kMaxBfqWeight) {
    return fail(Code::FailedPrecondition,
                fmt::format("--io-weight {}: this machine's disk scheduler, bfq, knows weights "
                            "of 1 to {}",
                            weight, kMaxBfqWeight));
  }
  return {};
}

void add_v1_cpu(const Resources& resources, std::vector<CgroupSetting>& settings) {
  if (resources.cpus) {
    settings.push_back({"--cpus", "cpu", "cpu.cfs_period_us", std::to_string(kPeriodUs)});
    settings.push_back({"--cpus", "cpu", "cpu.cfs_quota_us", std::to_string(quota_us(*resources.cpus))});
  }
  if (resources.cpu_weight) {
    settings.push_back({"--cpu-weight", "cpu", "cpu.shares", std::to_string(shares(*resources.cpu_weight))});
  }
  if (resources.cpuset) settings.push_back({"--cpuset", "cpuset", "cpuset.cpus", *resources.cpuset});
}

void add_v1_memory(const Resources& resources, std::vector<CgroupSetting>& settings) {
  const auto& memory = resources.memory_bytes;
  // memory+swap may never be below memory, whichever way the two move: out of the way first.
  if (resources.swap_bytes) settings.push_back({"--swap", "memory", "memory.memsw.limit_in_bytes", "-1"});
  if (memory) settings.push_back({"--memory", "memory", "memory.limit_in_bytes", std::to_string(*memory)});
  if (resources.swap_bytes) {
    settings.push_back({"--swap", "memory", "memory.memsw.limit_in_bytes",
                        std::to_string(memory.value_or(0) + *resources.swap_bytes)});
  }
  if (resources.memory_low_bytes) {
    settings.push_back({"--memory-low", "memory", "memory.soft_limit_in_bytes",
                        std::to_string(*resources.memory_low_bytes)});
  }
}

void add_v1_io(const Resources& resources, std::vector<CgroupSetting>& settings) {
  for (const IoMax& limit : resources.io_max) {
    const std::array<std::pair<const char*, std::uint64_t>, 4> files = {{{"read_bps", limit.read_bps},
                                                                         {"write_bps", limit.write_bps},
                                                                         {"read_iops", limit.read_iops},
                                                                         {"write_iops", limit.write_iops}}};
    for (const auto& [name, value] : files) {  // 0 takes a limit away
      settings.push_back({"--io-max", "blkio", fmt::format("blkio.throttle.{}_device", name),
                          fmt::format("{} {}", limit.device, value)});
    }
  }
  if (resources.io_weight) {
    settings.push_back({"--io-weight", "blkio", "blkio.bfq.weight", std::to_string(*resources.io_weight)});
  }
}

std::string v2_limit(std::uint64_t value) { return value == 0 ? "max" : std::to_string(value); }

void add_v2_cpu(const Resources& resources, std::vector<CgroupSetting>& settings) {
  if (resources.cpus) {
    settings.push_back(
        {"--cpus", "cpu", "cpu.max", fmt::format("{} {}", quota_us(*resources.cpus), kPeriodUs)});
  }
  if (resources.cpu_weight) {
    settings.push_back({"--cpu-weight", "cpu", "cpu.weight", std::to_string(*resources.cpu_weight)});
  }
  if (resources.cpuset) settings.push_back({"--cpuset", "cpuset", "cpuset.cpus", *resources.cpuset});
}

void add_v2_memory(const Resources& resources, std::vector<CgroupSetting>& settings) {
  const auto add = [&settings](std::string_view flag, const char* file,
                               const std::optional<std::uint64_t>& value) {
    if (value) settings.push_back({flag, "memory", file, std::to_string(*value)});
  };
  add("--memory", "memory.max", resources.memory_bytes);
  add("--memory-low", "memory.low", resources.memory_low_bytes);
  add("--swap", "memory.swap.max", resources.swap_bytes);
}

void add_v2_io(const Resources& resources, IoWeighing weighing, std::vector<CgroupSetting>& settings) {
  for (const IoMax& limit : resources.io_max) {
    settings.push_back(
        {"--io-max", "io", "io.max",
         fmt::format("{} rbps={} wbps={} riops={} wiops={}", limit.device, v2_limit(limit.read_bps),
                     v2_limit(limit.write_bps), v2_limit(limit.read_iops), v2_limit(limit.write_iops))});
  }
  if (!resources.io_weight) return;
  if (weighing == IoWeighing::Bfq) {
    settings.push_back({"--io-weight", "io", "io.bfq.weight", std::to_string(*resources.io_weight)});
  } else {
    settings.push_back({"--io-weight", "io", "io.weight", fmt::format("default {}", *resources.io_weight)});
  }
}

}  // namespace

IoWeighing probe_io_weighing(const std::string& v2_mount) {
  if (a_disk_uses_bfq()) return IoWeighing::Bfq;
  const auto cost =
      v2_mount.empty() ? Result<std::string>(std::string()) : read_file(v2_mount + "/io.cost.qos");
  return cost && cost->find("enable=1") != std::string::npos ? IoWeighing::Cost : IoWeighing::None;
}

Result<Resources> with_memory_kept(Resources resources, const V1MemoryBefore& before) {
  if (resources.swap_bytes && !resources.memory_bytes) {
    if (!before.memory_bytes) {
      return fail(Code::InvalidArgument,
                  "--swap: cgroup v1 limits swap together with memory: give --memory as well");
    }
    resources.memory_bytes = before.memory_bytes;
  }
  if (resources.memory_bytes && !resources.swap_bytes && before.memory_bytes && before.memory_swap_bytes) {
    resources.swap_bytes =
        *before.memory_swap_bytes - std::min(*before.memory_bytes, *before.memory_swap_bytes);
  }
  return resources;
}

Result<std::vector<CgroupSetting>> v1_settings(const Resources& resources, IoWeighing weighing) {
  if (resources.io_weight) TRY(require_weighing(*resources.io_weight, weighing, false));
  std::vector<CgroupSetting> settings;
  add_v1_cpu(resources, settings);
  add_v1_memory(resources, settings);
  if (resources.pids) settings.push_back({"--pids", "pids", "pids.max", std::to_string(*resources.pids)});
  add_v1_io(resources, settings);
  return settings;
}

Result<std::vector<CgroupSetting>> v2_settings(const Resources& resources, IoWeighing weighing) {
  if (resources.io_weight) TRY(require_weighing(*resources.io_weight, weighing, true));
  std::vector<CgroupSetting> settings;
  add_v2_cpu(resources, settings);
  add_v2_memory(resources, settings);
  if (resources.pids) settings.push_back({"--pids", "pids", "pids.max", std::to_string(*resources.pids)});
  add_v2_io(resources, weighing, settings);
  return settings;
}

std::string v1_device_line(const DeviceRule& rule) {
  if (rule.type == 'a') return "a";
  const auto number = [](const std::optional<std::int64_t>& value) {
    return value ? std::to_string(*value) : std::string("*");
  };
  return fmt::format("{} {}:{} {}", rule.type, number(rule.major), number(rule.minor),
                     rule.access.empty() ? "rwm" : rule.access);
}

}  // namespace berth::sys

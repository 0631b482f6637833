// linux.resources as the files of cgroup v1 (the kernel's admin-guide/cgroup-v1). Declared in
// runtime_resources.hpp.
#include <fmt/core.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "isolate/runtime_resources.hpp"

namespace berth::isolate {
namespace {

using Settings = std::vector<sys::CgroupSetting>;

// v1 spells "no limit" as the page counter's maximum: LONG_MAX in whole pages.
constexpr std::uint64_t kUnlimited = std::uint64_t{INT64_MAX} & ~std::uint64_t{4095};

// Clients write 0 for what nobody asked for.
template <typename T>
std::optional<T> unless_zero(const std::optional<T>& value) {
  return value && *value == 0 ? std::nullopt : value;
}

template <typename T>
void add(Settings& settings, std::string_view flag, std::string_view controller, std::string file,
         const std::optional<T>& value) {
  if (value) settings.push_back({flag, controller, std::move(file), std::to_string(*value)});
}

void add_cpu(const CpuResources& cpu, Settings& settings) {
  add(settings, "linux.resources.cpu.shares", "cpu", "cpu.shares", unless_zero(cpu.shares));
  add(settings, "linux.resources.cpu.period", "cpu", "cpu.cfs_period_us", unless_zero(cpu.period_us));
  add(settings, "linux.resources.cpu.quota", "cpu", "cpu.cfs_quota_us", unless_zero(cpu.quota_us));
  add(settings, "linux.resources.cpu.burst", "cpu", "cpu.cfs_burst_us", cpu.burst_us);
  add(settings, "linux.resources.cpu.realtimePeriod", "cpu", "cpu.rt_period_us",
      unless_zero(cpu.realtime_period_us));
  add(settings, "linux.resources.cpu.realtimeRuntime", "cpu", "cpu.rt_runtime_us",
      unless_zero(cpu.realtime_runtime_us));
  add(settings, "linux.resources.cpu.idle", "cpu", "cpu.idle", cpu.idle);
  if (!cpu.cpus.empty()) settings.push_back({"linux.resources.cpu.cpus", "cpuset", "cpuset.cpus", cpu.cpus});
  if (!cpu.mems.empty()) settings.push_back({"linux.resources.cpu.mems", "cpuset", "cpuset.mems", cpu.mems});
}

Result<std::optional<std::uint64_t>> present_limit(const ReadGroupFile& read, const char* file) {
  const auto text = TRY(read("memory", file));
  const auto number = text ? parse_u64(trim(*text)) : std::nullopt;
  return number && *number < kUnlimited ? number : std::nullopt;
}

// Memory and swap have one limit together, which may never be below memory's, whichever way the two move: it
// goes out of the way first. A swap limit that is not spoken of stays what it was beyond memory.
Result<void> add_memory_and_swap(MemoryResources memory, const ReadGroupFile& read, Settings& settings) {
  constexpr std::string_view kSwap = "linux.resources.memory.swap";
  memory.limit = unless_zero(memory.limit);
  memory.swap = unless_zero(memory.swap);
  if (!memory.limit && !memory.swap) return {};
  const std::string file = "memory.memsw.limit_in_bytes";
  const auto before = TRY(present_limit(read, "memory.limit_in_bytes"));
  const auto before_both = TRY(present_limit(read, file.c_str()));
  std::int64_t both = -1;
  if (memory.swap) {
    both = *memory.swap;
  } else if (before && before_both && *memory.limit > 0) {
    both = *memory.limit + static_cast<std::int64_t>(*before_both - std::min(*before, *before_both));
  }
  if (memory.swap || before_both) settings.push_back({kSwap, "memory", file, "-1"});
  add(settings, "linux.resources.memory.limit", "memory", "memory.limit_in_bytes", memory.limit);
  if (both >= 0) settings.push_back({kSwap, "memory", file, std::to_string(both)});
  return {};
}

Result<void> add_memory(const MemoryResources& memory, const ReadGroupFile& read, Settings& settings) {
  TRY(add_memory_and_swap(memory, read, settings));
  add(settings, "linux.resources.memory.reservation", "memory", "memory.soft_limit_in_bytes",
      unless_zero(memory.reservation));
  add(settings, "linux.resources.memory.kernelTCP", "memory", "memory.kmem.tcp.limit_in_bytes",
      unless_zero(memory.kernel_tcp));
  add(settings, "linux.resources.memory.swappiness", "memory", "memory.swappiness", memory.swappiness);
  if (memory.kernel && *memory.kernel > 0)
    log::warn("linux.resources.memory.kernel: the kernel no longer keeps this limit; it is left out");
  if (memory.use_hierarchy)
    settings.push_back({"linux.resources.memory.useHierarchy", "memory", "memory.use_hierarchy", "1"});
  if (memory.disable_oom_killer)
    settings.push_back({"linux.resources.memory.disableOOMKiller", "memory", "memory.oom_control", "1"});
  return {};
}

void add_devices(Settings& settings, std::string_view flag, const std::string& file,
                 const std::vector<DeviceValue>& values) {
  for (const DeviceValue& value : values)
    settings.push_back({flag, "blkio", file, fmt::format("{} {}", value.device, value.value)});
}

Result<void> add_block_io(const BlockIoResources& io, const ReadGroupFile& read, Settings& settings) {
  const bool bfq = TRY(read("blkio", "blkio.bfq.weight")).has_value();
  const std::string weight = bfq ? "blkio.bfq.weight" : "blkio.weight";
  if (io.weight && *io.weight != 0)
    add(settings, "linux.resources.blockIO.weight", "blkio", weight, io.weight);
  if (io.leaf_weight && *io.leaf_weight != 0)
    add(settings, "linux.resources.blockIO.leafWeight", "blkio", "blkio.leaf_weight", io.leaf_weight);
  add_devices(settings, "linux.resources.blockIO.weightDevice", weight + "_device", io.device_weights);
  add_devices(settings, "linux.resources.blockIO.weightDevice", "blkio.leaf_weight_device",
              io.device_leaf_weights);
  add_devices(settings, "linux.resources.blockIO.throttleReadBpsDevice", "blkio.throttle.read_bps_device",
              io.read_bps);
  add_devices(settings, "linux.resources.blockIO.throttleWriteBpsDevice", "blkio.throttle.write_bps_device",
              io.write_bps);
  add_devices(settings, "linux.resources.blockIO.throttleReadIOPSDevice", "blkio.throttle.read_iops_device",
              io.read_iops);
  add_devices(settings, "linux.resources.blockIO.throttleWriteIOPSDevice", "blkio.throttle.write_iops_device",
              io.write_iops);
  return {};
}

Result<void> add_hugepages(const RuntimeResources& wanted, const ReadGroupFile& read, Settings& settings) {
  for (const auto& [size, limit] : wanted.hugepages) {
    constexpr std::string_view kFlag = "linux.resources.hugepageLimits";
    settings.push_back(
        {kFlag, "hugetlb", fmt::format("hugetlb.{}.limit_in_bytes", size), std::to_string(limit)});
    std::string reserved = fmt::format("hugetlb.{}.rsvd.limit_in_bytes", size);
    if (TRY(read("hugetlb", reserved)))
      settings.push_back({kFlag, "hugetlb", reserved, std::to_string(limit)});
  }
  return {};
}

}  // namespace

Result<std::vector<sys::CgroupSetting>> runtime_v1_settings(const RuntimeResources& wanted,
                                                            const ReadGroupFile& read) {
  if (!wanted.unified.empty()) {
    return fail(Code::FailedPrecondition,
                fmt::format("linux.resources.unified: {} is a file of cgroup v2, and this machine has v1",
                            wanted.unified.front().first));
  }
  Settings settings;
  add_cpu(wanted.cpu, settings);
  TRY(add_memory(wanted.memory, read, settings));
  if (wanted.pids) {
    settings.push_back({"linux.resources.pids.limit", "pids", "pids.max",
                        *wanted.pids > 0 ? std::to_string(*wanted.pids) : "max"});
  }
  TRY(add_block_io(wanted.block_io, read, settings));
  TRY(add_hugepages(wanted, read, settings));
  add(settings, "linux.resources.network.classID", "net_cls", "net_cls.classid", wanted.network_class);
  for (const auto& [interface, priority] : wanted.network_priorities) {
    settings.push_back({"linux.resources.network.priorities", "net_prio", "net_prio.ifpriomap",
                        fmt::format("{} {}", interface, priority)});
  }
  for (const RdmaLimit& limit : wanted.rdma)
    settings.push_back({"linux.resources.rdma", "rdma", "rdma.max", rdma_line(limit)});
  return settings;
}

std::string rdma_line(const RdmaLimit& limit) {
  std::string line = limit.device;
  if (limit.handles) line += fmt::format(" hca_handle={}", *limit.handles);
  if (limit.objects) line += fmt::format(" hca_object={}", *limit.objects);
  return line;
}

}  // namespace berth::isolate

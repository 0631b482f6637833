// linux.resources as the files of cgroup v2 (the kernel's admin-guide/cgroup-v2). Declared in
// runtime_resources.hpp.
#include <fmt/core.h>

#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "isolate/runtime_resources.hpp"

namespace berth::isolate {
namespace {

using Settings = std::vector<sys::CgroupSetting>;

constexpr std::uint64_t kMinShares = 2, kMaxShares = 262144;
constexpr std::uint64_t kMinIoWeight = 10, kMaxIoWeight = 1000;
constexpr std::uint64_t kMaxWeight = 10000;
constexpr std::uint64_t kDefaultPeriodUs = 100000;

// Linear from [low, high] to [1, 10000].
std::uint64_t to_weight(std::uint64_t value, std::uint64_t low, std::uint64_t high) {
  return 1 + (std::clamp(value, low, high) - low) * (kMaxWeight - 1) / (high - low);
}

std::string limit_text(std::int64_t limit) { return limit < 0 ? "max" : std::to_string(limit); }

Failure no_word(std::string_view field) {
  return fail(Code::FailedPrecondition,
              fmt::format("{}: cgroup v2, which this machine has, knows no such limit: leave it out", field));
}

// "QUOTA PERIOD" of now, or the kernel's default.
Result<std::pair<std::string, std::string>> present_bandwidth(const ReadGroupFile& read) {
  const auto text = TRY(read("cpu", "cpu.max"));
  const auto words = text ? split(trim(*text), ' ') : std::vector<std::string>();
  if (words.size() == 2) return std::pair(words[0], words[1]);
  return std::pair(std::string("max"), std::to_string(kDefaultPeriodUs));
}

Result<void> add_cpu(const CpuResources& cpu, const ReadGroupFile& read, Settings& settings) {
  if (cpu.realtime_runtime_us.value_or(0) != 0 || cpu.realtime_period_us.value_or(0) != 0)
    return no_word("linux.resources.cpu.realtimeRuntime");
  if (cpu.idle)
    settings.push_back({"linux.resources.cpu.idle", "cpu", "cpu.idle", std::to_string(*cpu.idle)});
  // 0 means "not set" in the shares of old; an idle group has its one weight.
  if (cpu.shares && *cpu.shares != 0 && cpu.idle.value_or(0) == 0) {
    settings.push_back({"linux.resources.cpu.shares", "cpu", "cpu.weight",
                        std::to_string(to_weight(*cpu.shares, kMinShares, kMaxShares))});
  }
  if (cpu.quota_us || cpu.period_us) {
    auto [quota, period] = TRY(present_bandwidth(read));
    if (cpu.quota_us) quota = *cpu.quota_us > 0 ? std::to_string(*cpu.quota_us) : "max";
    if (cpu.period_us && *cpu.period_us != 0) period = std::to_string(*cpu.period_us);
    settings.push_back({cpu.quota_us ? "linux.resources.cpu.quota" : "linux.resources.cpu.period", "cpu",
                        "cpu.max", quota + " " + period});
  }
  if (cpu.burst_us)
    settings.push_back({"linux.resources.cpu.burst", "cpu", "cpu.max.burst", std::to_string(*cpu.burst_us)});
  if (!cpu.cpus.empty()) settings.push_back({"linux.resources.cpu.cpus", "cpuset", "cpuset.cpus", cpu.cpus});
  if (!cpu.mems.empty()) settings.push_back({"linux.resources.cpu.mems", "cpuset", "cpuset.mems", cpu.mems});
  return {};
}

// Swap alone, from memory and swap together. Nothing where it is not spoken of.
Result<std::optional<std::string>> swap_alone(const MemoryResources& memory, const ReadGroupFile& read) {
  if (!memory.swap) return std::optional<std::string>();
  if (*memory.swap < 0) return std::optional<std::string>("max");
  std::optional<std::int64_t> limit = memory.limit;
  if (!limit) {
    const auto text = TRY(read("memory", "memory.max"));
    limit = text ? parse_i64(trim(*text)) : std::nullopt;
  }
  if (!limit || *limit < 0) {
    if (*memory.swap == 0) return std::optional<std::string>();  // unset, in the clients' way of writing
    return fail(Code::InvalidArgument, "linux.resources.memory.swap: counts memory too, so it needs limit");
  }
  if (*memory.swap == 0) return std::optional<std::string>();
  if (*memory.swap < *limit)
    return fail(Code::InvalidArgument, "linux.resources.memory.swap: counts memory too: give at least limit");
  return std::optional<std::string>(std::to_string(*memory.swap - *limit));
}

// Below what is in use the kernel would kill.
Result<void> check_room(const MemoryResources& memory, const ReadGroupFile& read) {
  if (!memory.check_before_update || !memory.limit || *memory.limit < 0) return {};
  const auto text = TRY(read("memory", "memory.current"));
  const auto used = text ? parse_i64(trim(*text)) : std::nullopt;
  if (!used || *used <= *memory.limit) return {};
  return fail(Code::FailedPrecondition,
              fmt::format("linux.resources.memory.limit: {} bytes are less than the {} in use", *memory.limit,
                          *used));
}

Result<void> add_memory(const MemoryResources& memory, const ReadGroupFile& read, Settings& settings) {
  if (memory.kernel_tcp && *memory.kernel_tcp > 0) return no_word("linux.resources.memory.kernelTCP");
  if (memory.swappiness) return no_word("linux.resources.memory.swappiness");
  if (memory.disable_oom_killer) return no_word("linux.resources.memory.disableOOMKiller");
  if (memory.kernel && *memory.kernel > 0)
    log::warn("linux.resources.memory.kernel: the kernel no longer keeps this limit; it is left out");
  TRY(check_room(memory, read));
  // A kernel that does not count swap has no such file: nothing to lift there.
  const auto swap = TRY(swap_alone(memory, read));
  if (swap && (*swap != "max" || TRY(read("memory", "memory.swap.max"))))
    settings.push_back({"linux.resources.memory.swap", "memory", "memory.swap.max", *swap});
  if (memory.limit && *memory.limit != 0)
    settings.push_back({"linux.resources.memory.limit", "memory", "memory.max", limit_text(*memory.limit)});
  if (memory.reservation && *memory.reservation != 0)
    settings.push_back(
        {"linux.resources.memory.reservation", "memory", "memory.low", limit_text(*memory.reservation)});
  return {};
}

void add_rates(Settings& settings, std::string_view flag, const char* word,
               const std::vector<DeviceValue>& rates) {
  for (const DeviceValue& rate : rates) {
    const std::string value = rate.value == 0 ? "max" : std::to_string(rate.value);
    settings.push_back({flag, "io", "io.max", fmt::format("{} {}={}", rate.device, word, value)});
  }
}

Result<void> add_block_io(const BlockIoResources& io, const ReadGroupFile& read, Settings& settings) {
  constexpr std::string_view kWeight = "linux.resources.blockIO.weight";
  constexpr std::string_view kDeviceWeight = "linux.resources.blockIO.weightDevice";
  if (io.leaf_weight.value_or(0) != 0) return no_word("linux.resources.blockIO.leafWeight");
  if (!io.device_leaf_weights.empty()) return no_word("linux.resources.blockIO.weightDevice.leafWeight");
  const bool weights = io.weight.value_or(0) != 0 || !io.device_weights.empty();
  const bool bfq = weights && TRY(read("io", "io.bfq.weight")).has_value();
  const auto convert = [bfq](std::uint64_t weight) {
    return bfq ? weight : to_weight(weight, kMinIoWeight, kMaxIoWeight);
  };
  const std::string file = bfq ? "io.bfq.weight" : "io.weight";
  if (io.weight.value_or(0) != 0)
    settings.push_back({kWeight, "io", file, fmt::format("default {}", convert(*io.weight))});
  for (const DeviceValue& weight : io.device_weights)
    settings.push_back(
        {kDeviceWeight, "io", file, fmt::format("{} {}", weight.device, convert(weight.value))});
  add_rates(settings, "linux.resources.blockIO.throttleReadBpsDevice", "rbps", io.read_bps);
  add_rates(settings, "linux.resources.blockIO.throttleWriteBpsDevice", "wbps", io.write_bps);
  add_rates(settings, "linux.resources.blockIO.throttleReadIOPSDevice", "riops", io.read_iops);
  add_rates(settings, "linux.resources.blockIO.throttleWriteIOPSDevice", "wiops", io.write_iops);
  return {};
}

Result<void> add_hugepages(const RuntimeResources& wanted, const ReadGroupFile& read, Settings& settings) {
  for (const auto& [size, limit] : wanted.hugepages) {
    constexpr std::string_view kFlag = "linux.resources.hugepageLimits";
    settings.push_back({kFlag, "hugetlb", fmt::format("hugetlb.{}.max", size), std::to_string(limit)});
    std::string reserved = fmt::format("hugetlb.{}.rsvd.max", size);
    if (TRY(read("hugetlb", reserved)))
      settings.push_back({kFlag, "hugetlb", reserved, std::to_string(limit)});
  }
  return {};
}

// "memory.high" is the memory controller's; "cgroup.max.depth" is every group's.
std::string_view controller_of(std::string_view file) {
  const std::string_view name = file.substr(0, file.find('.'));
  return name == "cgroup" ? std::string_view() : name;
}

// One write a line, as those files want it.
void add_unified(const RuntimeResources& wanted, Settings& settings) {
  for (const auto& [file, value] : wanted.unified) {
    for (const std::string& line : split(value, '\n')) {
      if (!line.empty()) settings.push_back({"linux.resources.unified", controller_of(file), file, line});
    }
  }
}

}  // namespace

Result<std::vector<sys::CgroupSetting>> runtime_v2_settings(const RuntimeResources& wanted,
                                                            const ReadGroupFile& read) {
  if (wanted.network_class.value_or(0) != 0) return no_word("linux.resources.network.classID");
  if (!wanted.network_priorities.empty()) return no_word("linux.resources.network.priorities");
  Settings settings;
  TRY(add_cpu(wanted.cpu, read, settings));
  TRY(add_memory(wanted.memory, read, settings));
  if (wanted.pids) {
    settings.push_back({"linux.resources.pids.limit", "pids", "pids.max",
                        *wanted.pids > 0 ? std::to_string(*wanted.pids) : "max"});
  }
  TRY(add_block_io(wanted.block_io, read, settings));
  TRY(add_hugepages(wanted, read, settings));
  for (const RdmaLimit& limit : wanted.rdma)
    settings.push_back({"linux.resources.rdma", "rdma", "rdma.max", rdma_line(limit)});
  add_unified(wanted, settings);
  return settings;
}

}  // namespace berth::isolate

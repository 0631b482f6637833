// Reading linux.resources. The conversions are in runtime_cgroup_v1.cpp and runtime_cgroup_v2.cpp.
#include "isolate/runtime_resources.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.hpp"

namespace berth::isolate {
namespace {

template <typename T>
Result<void> read(const JsonView& view, std::string_view key, std::optional<T>& value) {
  const auto member = TRY(view.find(key));
  if (!member) return {};
  if constexpr (std::is_signed_v<T>) {
    const std::int64_t number = TRY(member->as_int());
    if (number < -1) return member->bad("give -1 for no limit, or a number that is not negative");
    value = number;
  } else {
    value = TRY(member->as_uint());
  }
  return {};
}

Result<void> read_cpu(const JsonView& view, CpuResources& cpu) {
  TRY(read(view, "shares", cpu.shares));
  TRY(read(view, "quota", cpu.quota_us));
  TRY(read(view, "period", cpu.period_us));
  TRY(read(view, "burst", cpu.burst_us));
  TRY(read(view, "realtimeRuntime", cpu.realtime_runtime_us));
  TRY(read(view, "realtimePeriod", cpu.realtime_period_us));
  TRY(read(view, "idle", cpu.idle));
  cpu.cpus = TRY(view.string_or("cpus", ""));
  cpu.mems = TRY(view.string_or("mems", ""));
  if (cpu.burst_us && cpu.quota_us && *cpu.quota_us > 0 &&
      *cpu.burst_us > static_cast<std::uint64_t>(*cpu.quota_us))
    return TRY(view.at("burst")).bad("more than quota");
  if (cpu.idle && *cpu.idle != 0 && *cpu.idle != 1) return TRY(view.at("idle")).bad("give 0 or 1");
  for (const auto& [key, list] : {std::pair("cpus", &cpu.cpus), std::pair("mems", &cpu.mems)}) {
    if (list->empty()) continue;
    if (auto parsed = parse_cpu_list(*list); !parsed) return TRY(view.at(key)).bad(parsed.error().message);
  }
  return {};
}

Result<void> read_memory(const JsonView& view, MemoryResources& memory) {
  TRY(read(view, "limit", memory.limit));
  TRY(read(view, "reservation", memory.reservation));
  TRY(read(view, "swap", memory.swap));
  TRY(read(view, "kernel", memory.kernel));
  TRY(read(view, "kernelTCP", memory.kernel_tcp));
  TRY(read(view, "swappiness", memory.swappiness));
  if (memory.swappiness && *memory.swappiness > 100) return TRY(view.at("swappiness")).bad("give 0 to 100");
  memory.disable_oom_killer = TRY(view.bool_or("disableOOMKiller", false));
  memory.use_hierarchy = TRY(view.bool_or("useHierarchy", false));
  memory.check_before_update = TRY(view.bool_or("checkBeforeUpdate", false));
  const bool both = memory.limit && memory.swap && *memory.limit > 0 && *memory.swap > 0;
  if (both && *memory.swap < *memory.limit)
    return TRY(view.at("swap")).bad("counts memory and swap together: give at least limit");
  return {};
}

Result<std::string> read_device(const JsonView& view) {
  return fmt::format("{}:{}", TRY(view.uint("major")), TRY(view.uint("minor")));
}

Result<void> check_weight(const JsonView& view, std::string_view key,
                          const std::optional<std::uint64_t>& weight) {
  if (!weight || *weight == 0 || (*weight >= 10 && *weight <= 1000)) return {};
  return TRY(view.at(key)).bad("give 10 to 1000");
}

Result<void> read_weights(const JsonView& view, BlockIoResources& io) {
  for (const JsonView& item : TRY(view.array_or_empty("weightDevice"))) {
    const std::string device = TRY(read_device(item));
    std::optional<std::uint64_t> weight;
    std::optional<std::uint64_t> leaf;
    TRY(read(item, "weight", weight));
    TRY(read(item, "leafWeight", leaf));
    TRY(check_weight(item, "weight", weight));
    TRY(check_weight(item, "leafWeight", leaf));
    if (!weight && !leaf) return item.bad("has neither weight nor leafWeight");
    if (weight) io.device_weights.push_back({device, *weight});
    if (leaf) io.device_leaf_weights.push_back({device, *leaf});
  }
  return {};
}

Result<void> read_block_io(const JsonView& view, BlockIoResources& io) {
  TRY(read(view, "weight", io.weight));
  TRY(read(view, "leafWeight", io.leaf_weight));
  TRY(check_weight(view, "weight", io.weight));
  TRY(check_weight(view, "leafWeight", io.leaf_weight));
  TRY(read_weights(view, io));
  for (const auto& [key, rates] :
       {std::pair("throttleReadBpsDevice", &io.read_bps), std::pair("throttleWriteBpsDevice", &io.write_bps),
        std::pair("throttleReadIOPSDevice", &io.read_iops),
        std::pair("throttleWriteIOPSDevice", &io.write_iops)}) {
    for (const JsonView& item : TRY(view.array_or_empty(key)))
      rates->push_back({TRY(read_device(item)), TRY(item.uint("rate"))});
  }
  return {};
}

// A name that becomes part of a file name or a line must be one word.
bool is_word(std::string_view text) {
  return !text.empty() && text.find_first_of("/ \n\t") == std::string_view::npos && text != "." &&
         text != "..";
}

Result<void> read_network(const JsonView& view, RuntimeResources& resources) {
  std::optional<std::uint64_t> id;
  TRY(read(view, "classID", id));
  if (id && *id > UINT32_MAX) return TRY(view.at("classID")).bad("give 32 bits");
  if (id) resources.network_class = static_cast<std::uint32_t>(*id);
  for (const JsonView& item : TRY(view.array_or_empty("priorities"))) {
    std::string name = TRY(item.string("name"));
    if (!is_word(name)) return TRY(item.at("name")).bad("not the name of an interface");
    resources.network_priorities.emplace_back(std::move(name), TRY(item.uint("priority")));
  }
  return {};
}

Result<void> read_rdma(const JsonView& view, RuntimeResources& resources) {
  for (const auto& [device, limits] : TRY(view.as_object())) {
    RdmaLimit limit{device, {}, {}};
    TRY(read(limits, "hcaHandles", limit.handles));
    TRY(read(limits, "hcaObjects", limit.objects));
    if (!is_word(device) || (!limit.handles && !limit.objects))
      return limits.bad("needs a device's name, and hcaHandles or hcaObjects");
    resources.rdma.push_back(std::move(limit));
  }
  return {};
}

Result<std::optional<std::int64_t>> read_number(const JsonView& view, std::string_view key) {
  std::optional<std::int64_t> number;
  TRY(read(view, key, number));
  if (number && *number < 0) number.reset();  // any
  return number;
}

Result<sys::DeviceRule> read_device_rule(const JsonView& view) {
  sys::DeviceRule rule;
  rule.allow = TRY(view.bool_or("allow", false));
  const std::string type = TRY(view.string_or("type", "a"));
  if (type != "a" && type != "b" && type != "c" && !type.empty())
    return TRY(view.at("type")).bad("give a, b or c");
  rule.type = type.empty() ? 'a' : type.front();
  rule.major = TRY(read_number(view, "major"));
  rule.minor = TRY(read_number(view, "minor"));
  rule.access = TRY(view.string_or("access", ""));
  if (rule.access.find_first_not_of("rwm") != std::string::npos)
    return TRY(view.at("access")).bad("made of r, w and m only");
  return rule;
}

Result<void> read_lists(const JsonView& view, RuntimeResources& resources) {
  for (const JsonView& item : TRY(view.array_or_empty("hugepageLimits"))) {
    std::string size = TRY(item.string("pageSize"));
    if (!is_word(size)) return TRY(item.at("pageSize")).bad("give a size such as 2MB");
    resources.hugepages.emplace_back(std::move(size), TRY(item.uint("limit")));
  }
  for (const JsonView& item : TRY(view.array_or_empty("devices")))
    resources.devices.push_back(TRY(read_device_rule(item)));
  if (const auto unified = TRY(view.find("unified"))) {
    for (const auto& [file, value] : TRY(unified->as_object())) {
      const bool plain = is_word(file) && file.find('.') != std::string::npos && !file.starts_with(".");
      if (!plain) return value.bad("not the name of a file in a group");
      resources.unified.emplace_back(file, TRY(value.as_string()));
    }
  }
  return {};
}

}  // namespace

Result<RuntimeResources> parse_runtime_resources(const JsonView& view) {
  RuntimeResources resources;
  if (const auto cpu = TRY(view.find("cpu"))) TRY(read_cpu(*cpu, resources.cpu));
  if (const auto memory = TRY(view.find("memory"))) TRY(read_memory(*memory, resources.memory));
  if (const auto pids = TRY(view.find("pids"))) TRY(read(*pids, "limit", resources.pids));
  if (const auto io = TRY(view.find("blockIO"))) TRY(read_block_io(*io, resources.block_io));
  if (const auto network = TRY(view.find("network"))) TRY(read_network(*network, resources));
  if (const auto rdma = TRY(view.find("rdma"))) TRY(read_rdma(*rdma, resources));
  TRY(read_lists(view, resources));
  return resources;
}

Result<void> apply_runtime_resources(sys::Cgroup& group, const RuntimeResources& wanted) {
  const ReadGroupFile read = [&group](std::string_view controller, const std::string& file) {
    return group.read(controller, file);
  };
  const auto settings =
      TRY(group.is_v2() ? runtime_v2_settings(wanted, read) : runtime_v1_settings(wanted, read));
  for (const sys::CgroupSetting& setting : settings) TRY(group.set(setting));
  return {};
}

bool is_systemd_path(const std::string& cgroups_path) {
  return std::count(cgroups_path.begin(), cgroups_path.end(), ':') == 2 &&
         cgroups_path.find('/') == std::string::npos;
}

Result<std::string> cgroup_path_of(const std::string& cgroups_path, const std::string& fallback,
                                   const std::string& id) {
  std::string path;
  for (const std::string& part : split(cgroups_path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      return fail(Code::InvalidArgument,
                  fmt::format("linux.cgroupsPath: \"{}\" must not have \"..\" in it", cgroups_path));
    }
    path += (path.empty() ? "" : "/") + part;
  }
  return path.empty() ? fallback + "/" + id : path;
}

}  // namespace berth::isolate

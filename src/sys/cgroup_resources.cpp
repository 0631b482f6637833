// Resources: which options were given, whether their values make sense, and their JSON. Declared in
// sys/cgroup.hpp.
#include <fmt/core.h>

#include <algorithm>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "sys/cgroup.hpp"
#include "sys/fd.hpp"

namespace berth::sys {
namespace {

constexpr std::uint64_t kMaxWeight = 10000;
constexpr double kMinCpus = 0.01;                // 1 ms of the 100 ms period, the least the kernel takes
constexpr std::uint64_t kMinMemory = 512 << 10;  // below, no program starts
constexpr std::uint64_t kMaxBytes = INT64_MAX;   // what the kernel's counters hold
constexpr std::uint64_t kMaxPids = 4194304;      // PID_MAX_LIMIT of a 64-bit kernel

Result<std::vector<unsigned>> online_cpus() {
  const std::string list = TRY(read_file("/sys/devices/system/cpu/online"));
  return parse_cpu_list(trim(list));
}

Failure out_of_range(std::string_view flag, std::string_view given, std::string_view allowed) {
  return fail(Code::InvalidArgument, fmt::format("{} {}: give {}", flag, given, allowed));
}

Result<void> check_weight(std::string_view flag, std::optional<std::uint64_t> weight) {
  if (!weight || (*weight >= 1 && *weight <= kMaxWeight)) return {};
  return out_of_range(flag, std::to_string(*weight),
                      fmt::format("a weight from 1 to {} (the default is 100)", kMaxWeight));
}

Result<void> check_cpus(const Resources& resources) {
  if (!resources.cpus && !resources.cpuset) return {};
  const std::vector<unsigned> online = TRY(online_cpus());
  const auto count = static_cast<double>(online.size());
  if (resources.cpus && !(*resources.cpus >= kMinCpus && *resources.cpus <= count)) {
    return out_of_range("--cpus", fmt::format("{}", *resources.cpus),
                        fmt::format("{} to {}, the processors that are online", kMinCpus, online.size()));
  }
  if (!resources.cpuset) return {};
  const std::vector<unsigned> wanted = TRY_DURING("--cpuset", parse_cpu_list(*resources.cpuset));
  if (wanted.empty()) return out_of_range("--cpuset", "\"\"", "at least one processor, such as 0-1");
  for (const unsigned cpu : wanted) {
    if (std::find(online.begin(), online.end(), cpu) == online.end()) {
      return out_of_range("--cpuset", *resources.cpuset,
                          fmt::format("online processors only: {} is not", cpu));
    }
  }
  return {};
}

Result<void> check_memory(const Resources& resources) {
  const auto& memory = resources.memory_bytes;
  if (memory && (*memory < kMinMemory || *memory > kMaxBytes)) {
    return out_of_range("--memory", std::to_string(*memory),
                        "512k or more (0 does not mean without limit: leave it out)");
  }
  const auto& low = resources.memory_low_bytes;
  if (low && memory && *low > *memory) {
    return out_of_range("--memory-low", std::to_string(*low), "no more than --memory");
  }
  if (low && *low > kMaxBytes) return out_of_range("--memory-low", std::to_string(*low), "less");
  if (resources.swap_bytes && *resources.swap_bytes > kMaxBytes - memory.value_or(0)) {
    return out_of_range("--swap", std::to_string(*resources.swap_bytes), "less");
  }
  return {};
}

Result<void> check_io_max(const IoMax& limit) {
  const std::vector<std::string> numbers = split(limit.device, ':');
  const bool well_formed = numbers.size() == 2 && parse_u64(numbers[0]) && parse_u64(numbers[1]);
  if (!well_formed) {
    return out_of_range("--io-max", limit.device, "a block device by its numbers, such as 8:0");
  }
  if (!exists("/sys/dev/block/" + limit.device)) {
    return fail(Code::NotFound,
                fmt::format("--io-max {}: this machine has no such block device", limit.device));
  }
  return {};
}

Result<std::optional<std::uint64_t>> optional_uint(const JsonView& view, std::string_view key) {
  const auto member = TRY(view.find(key));
  if (!member) return std::optional<std::uint64_t>{};
  return std::optional<std::uint64_t>(TRY(member->as_uint()));
}

Result<std::uint64_t> uint_or_zero(const JsonView& view, std::string_view key) {
  return TRY(optional_uint(view, key)).value_or(0);
}

template <typename T>
void put(Json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}

Json io_max_to_json(const IoMax& limit) {
  return Json{{"device", limit.device},
              {"rbps", limit.read_bps},
              {"wbps", limit.write_bps},
              {"riops", limit.read_iops},
              {"wiops", limit.write_iops}};
}

Result<IoMax> io_max_from_json(const JsonView& view) {
  IoMax limit;
  limit.device = TRY(view.string("device"));
  limit.read_bps = TRY(uint_or_zero(view, "rbps"));
  limit.write_bps = TRY(uint_or_zero(view, "wbps"));
  limit.read_iops = TRY(uint_or_zero(view, "riops"));
  limit.write_iops = TRY(uint_or_zero(view, "wiops"));
  return limit;
}

}  // namespace

std::vector<std::string_view> Resources::flags() const {
  std::vector<std::string_view> given;
  const auto add = [&given](bool present, std::string_view flag) {
    if (present) given.push_back(flag);
  };
  add(cpus.has_value(), "--cpus");
  add(cpu_weight.has_value(), "--cpu-weight");
  add(cpuset.has_value(), "--cpuset");
  add(memory_bytes.has_value(), "--memory");
  add(memory_low_bytes.has_value(), "--memory-low");
  add(swap_bytes.has_value(), "--swap");
  add(pids.has_value(), "--pids");
  add(io_weight.has_value(), "--io-weight");
  add(!io_max.empty(), "--io-max");
  return given;
}

Result<void> Resources::check() const {
  TRY(check_weight("--cpu-weight", cpu_weight));
  TRY(check_weight("--io-weight", io_weight));
  TRY(check_cpus(*this));
  TRY(check_memory(*this));
  if (pids && (*pids < 1 || *pids > kMaxPids)) {
    return out_of_range("--pids", std::to_string(*pids), fmt::format("1 to {}", kMaxPids));
  }
  for (const IoMax& limit : io_max) TRY(check_io_max(limit));
  return {};
}

Json Resources::to_json() const {
  Json json = Json::object();
  put(json, "cpus", cpus);
  put(json, "cpu_weight", cpu_weight);
  put(json, "cpuset", cpuset);
  put(json, "memory", memory_bytes);
  put(json, "memory_low", memory_low_bytes);
  put(json, "swap", swap_bytes);
  put(json, "pids", pids);
  put(json, "io_weight", io_weight);
  for (const IoMax& limit : io_max) json["io_max"].push_back(io_max_to_json(limit));
  return json;
}

Result<Resources> Resources::from_json(const JsonView& view) {
  Resources resources;
  if (const auto member = TRY(view.find("cpus"))) resources.cpus = TRY(member->as_double());
  if (const auto member = TRY(view.find("cpuset"))) resources.cpuset = TRY(member->as_string());
  resources.cpu_weight = TRY(optional_uint(view, "cpu_weight"));
  resources.memory_bytes = TRY(optional_uint(view, "memory"));
  resources.memory_low_bytes = TRY(optional_uint(view, "memory_low"));
  resources.swap_bytes = TRY(optional_uint(view, "swap"));
  resources.pids = TRY(optional_uint(view, "pids"));
  resources.io_weight = TRY(optional_uint(view, "io_weight"));
  for (const JsonView& item : TRY(view.array_or_empty("io_max"))) {
    resources.io_max.push_back(TRY(io_max_from_json(item)));
  }
  return resources;
}

}  // namespace berth::sys

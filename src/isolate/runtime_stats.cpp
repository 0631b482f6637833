#include "isolate/runtime_stats.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "base/json_value.hpp"
#include "base/text.hpp"

namespace berth::isolate {
namespace {

constexpr std::uint64_t kNsPerUs = 1000;

using Text = std::optional<std::string>;

std::optional<std::uint64_t> number(const Text& text) {
  if (!text) return std::nullopt;
  return trim(*text) == "max" ? UINT64_MAX : parse_u64(trim(*text));
}

// All "key value" lines.
Json flat(const Text& text) {
  Json fields = Json::object();
  for (const std::string& line : split(text.value_or(""), '\n')) {
    const std::vector<std::string> words = split(line, ' ');
    const auto value = words.size() == 2 ? parse_u64(words[1]) : std::nullopt;
    if (value) fields[words[0]] = *value;
  }
  return fields;
}

std::uint64_t member(const Json& fields, const char* key) {
  const auto found = fields.find(key);
  return found == fields.end() ? 0 : found->get<std::uint64_t>();
}

Json throttling(const Json& stat, std::uint64_t throttled_ns) {
  return {{"periods", member(stat, "nr_periods")},
          {"throttledPeriods", member(stat, "nr_throttled")},
          {"throttledTime", throttled_ns}};
}

Result<Json> v2_cpu(sys::Cgroup& group) {
  const Json stat = flat(TRY(group.read("cpu", "cpu.stat")));
  return Json{{"usage",
               {{"total", member(stat, "usage_usec") * kNsPerUs},
                {"kernel", member(stat, "system_usec") * kNsPerUs},
                {"user", member(stat, "user_usec") * kNsPerUs}}},
              {"throttling", throttling(stat, member(stat, "throttled_usec") * kNsPerUs)}};
}

Result<Json> v1_cpu(sys::Cgroup& group) {
  const Json throttled = flat(TRY(group.read("cpu", "cpu.stat")));
  const Json ticks = flat(TRY(group.read("cpuacct", "cpuacct.stat")));
  const std::uint64_t ns_per_tick =
      1000000000 / static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
  Json per_cpu = Json::array();
  for (const std::string& word :
       split(trim(TRY(group.read("cpuacct", "cpuacct.usage_percpu")).value_or("")), ' ')) {
    if (const auto value = parse_u64(word)) per_cpu.push_back(*value);
  }
  return Json{{"usage",
               {{"total", number(TRY(group.read("cpuacct", "cpuacct.usage"))).value_or(0)},
                {"percpu", std::move(per_cpu)},
                {"kernel", member(ticks, "system") * ns_per_tick},
                {"user", member(ticks, "user") * ns_per_tick}}},
              {"throttling", throttling(throttled, member(throttled, "throttled_time"))}};
}

// limit, usage, the most there was and how often the limit was met.
struct MemoryFiles {
  const char* limit;
  const char* usage;
  const char* most;
  const char* failures;
};

Result<Json> v1_memory_part(sys::Cgroup& group, const MemoryFiles& files) {
  const auto read = [&](const char* file) -> Result<std::uint64_t> {
    return number(TRY(group.read("memory", file))).value_or(0);
  };
  return Json{{"limit", TRY(read(files.limit))},
              {"usage", TRY(read(files.usage))},
              {"max", TRY(read(files.most))},
              {"failcnt", TRY(read(files.failures))}};
}

Result<Json> v1_memory(sys::Cgroup& group) {
  Json raw = flat(TRY(group.read("memory", "memory.stat")));
  Json memory{{"cache", member(raw, "cache")}};
  memory["usage"] = TRY(v1_memory_part(group, {"memory.limit_in_bytes", "memory.usage_in_bytes",
                                               "memory.max_usage_in_bytes", "memory.failcnt"}));
  memory["swap"] = TRY(v1_memory_part(group, {"memory.memsw.limit_in_bytes", "memory.memsw.usage_in_bytes",
                                              "memory.memsw.max_usage_in_bytes", "memory.memsw.failcnt"}));
  memory["kernel"] = TRY(v1_memory_part(group, {"memory.kmem.limit_in_bytes", "memory.kmem.usage_in_bytes",
                                                "memory.kmem.max_usage_in_bytes", "memory.kmem.failcnt"}));
  memory["kernelTCP"] =
      TRY(v1_memory_part(group, {"memory.kmem.tcp.limit_in_bytes", "memory.kmem.tcp.usage_in_bytes",
                                 "memory.kmem.tcp.max_usage_in_bytes", "memory.kmem.tcp.failcnt"}));
  memory["raw"] = std::move(raw);
  return memory;
}

Result<Json> v2_memory(sys::Cgroup& group) {
  Json raw = flat(TRY(group.read("memory", "memory.stat")));
  const auto part = [&](const std::string& prefix, const char* most) -> Result<Json> {
    const Json events = flat(TRY(group.read("memory", prefix + ".events")));
    return Json{{"limit", number(TRY(group.read("memory", prefix + ".max"))).value_or(UINT64_MAX)},
                {"usage", number(TRY(group.read("memory", prefix + ".current"))).value_or(0)},
                {"max", number(TRY(group.read("memory", most))).value_or(0)},
                {"failcnt", member(events, "max")}};
  };
  Json memory{{"cache", member(raw, "file")}};
  memory["usage"] = TRY(part("memory", "memory.peak"));
  memory["swap"] = TRY(part("memory.swap", "memory.swap.peak"));
  memory["raw"] = std::move(raw);
  return memory;
}

void add_operation(Json& list, const std::vector<std::string>& device, const char* operation,
                   std::uint64_t value) {
  list.push_back({{"major", parse_u64(device[0]).value_or(0)},
                  {"minor", parse_u64(device[1]).value_or(0)},
                  {"op", operation},
                  {"value", value}});
}

// "8:0 rbytes=4096 wbytes=0 rios=1 ..."
Json v2_io(const Text& text) {
  Json bytes = Json::array();
  Json requests = Json::array();
  for (const std::string& line : split(text.value_or(""), '\n')) {
    const std::vector<std::string> words = split(line, ' ');
    const std::vector<std::string> device = words.empty() ? words : split(words[0], ':');
    if (device.size() != 2) continue;
    for (const std::string& word : words) {
      const std::size_t equals = word.find('=');
      if (equals == std::string::npos) continue;
      const std::string key = word.substr(0, equals);
      const std::uint64_t value = parse_u64(std::string_view(word).substr(equals + 1)).value_or(0);
      if (key == "rbytes") add_operation(bytes, device, "Read", value);
      if (key == "wbytes") add_operation(bytes, device, "Write", value);
      if (key == "rios") add_operation(requests, device, "Read", value);
      if (key == "wios") add_operation(requests, device, "Write", value);
    }
  }
  return Json{{"ioServiceBytesRecursive", std::move(bytes)}, {"ioServicedRecursive", std::move(requests)}};
}

// "8:0 Read 4096"
Json v1_operations(const Text& text) {
  Json list = Json::array();
  for (const std::string& line : split(text.value_or(""), '\n')) {
    const std::vector<std::string> words = split(line, ' ');
    const std::vector<std::string> device =
        words.size() == 3 ? split(words[0], ':') : std::vector<std::string>();
    if (device.size() == 2) add_operation(list, device, words[1].c_str(), parse_u64(words[2]).value_or(0));
  }
  return list;
}

Result<Json> block_io(sys::Cgroup& group) {
  if (group.is_v2()) return v2_io(TRY(group.read("io", "io.stat")));
  return Json{{"ioServiceBytesRecursive",
               v1_operations(TRY(group.read("blkio", "blkio.throttle.io_service_bytes_recursive")))},
              {"ioServicedRecursive",
               v1_operations(TRY(group.read("blkio", "blkio.throttle.io_serviced_recursive")))}};
}

}  // namespace

Result<Json> runtime_stats(sys::Cgroup& group) {
  Json stats = Json::object();
  stats["cpu"] = TRY(group.is_v2() ? v2_cpu(group) : v1_cpu(group));
  const char* in_use = group.is_v2() ? "memory.current" : "memory.usage_in_bytes";
  if (TRY(group.read("memory", in_use)))
    stats["memory"] = TRY(group.is_v2() ? v2_memory(group) : v1_memory(group));
  if (const auto pids = number(TRY(group.read("pids", "pids.current")))) {
    // runc tells a limit that is none as 0.
    const std::uint64_t limit = number(TRY(group.read("pids", "pids.max"))).value_or(UINT64_MAX);
    stats["pids"] = {{"current", *pids}, {"limit", limit == UINT64_MAX ? 0 : limit}};
  }
  stats["blkio"] = TRY(block_io(group));
  return stats;
}

}  // namespace berth::isolate

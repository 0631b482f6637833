#include "sys/cgroup_stats.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace berth::sys {
namespace {

constexpr std::uint64_t kNsPerUs = 1000;
// v1 spells "no limit" as the page counter's maximum: LONG_MAX in whole pages.
constexpr std::uint64_t kV1Unlimited = std::uint64_t{INT64_MAX} & ~std::uint64_t{4095};

std::uint64_t without(std::uint64_t all, std::optional<std::uint64_t> part) {
  return all - std::min(all, part.value_or(0));
}

Result<void> read_v1_memory(const CgroupDir& dir, CgroupStats& stats) {
  const std::string detail = TRY(dir.read("memory.stat"));
  stats.memory_bytes = without(TRY(dir.read_number("memory.usage_in_bytes")).value_or(0),
                               flat_value(detail, "total_inactive_file"));
  stats.memory_peak_bytes = TRY(dir.read_number("memory.max_usage_in_bytes")).value_or(0);
  stats.memory_limit_bytes = TRY(dir.read_number("memory.limit_in_bytes"));
  if (stats.memory_limit_bytes >= kV1Unlimited) stats.memory_limit_bytes.reset();
  stats.oom_kills = flat_value(TRY(dir.read("memory.oom_control")), "oom_kill").value_or(0);
  return {};
}

Result<void> read_v2_memory(const CgroupDir& dir, CgroupStats& stats) {
  if (!dir.has("memory.current")) return {};
  const std::string detail = TRY(dir.read("memory.stat"));
  stats.memory_bytes =
      without(TRY(dir.read_number("memory.current")).value_or(0), flat_value(detail, "inactive_file"));
  // memory.peak came with Linux 5.19.
  if (dir.has("memory.peak")) stats.memory_peak_bytes = TRY(dir.read_number("memory.peak")).value_or(0);
  stats.memory_limit_bytes = TRY(dir.read_number("memory.max"));
  stats.oom_kills = flat_value(TRY(dir.read("memory.events")), "oom_kill").value_or(0);
  return {};
}

Result<void> read_pids(const CgroupDir& dir, CgroupStats& stats) {
  stats.pids = TRY(dir.read_number("pids.current")).value_or(0);
  stats.pids_limit = TRY(dir.read_number("pids.max"));
  return {};
}

}  // namespace

void add_v1_io(std::string_view text, CgroupStats& stats) {
  for (const std::string& line : split(text, '\n')) {  // "8:0 Read 4096"
    const std::vector<std::string> words = split(line, ' ');
    if (words.size() != 3) continue;
    const std::uint64_t bytes = parse_u64(words[2]).value_or(0);
    if (words[1] == "Read") stats.io_read_bytes += bytes;
    if (words[1] == "Write") stats.io_write_bytes += bytes;
  }
}

void add_v2_io(std::string_view text, CgroupStats& stats) {
  for (const std::string& line : split(text, '\n')) {  // "8:0 rbytes=4096 wbytes=0 rios=1 ..."
    for (const std::string& word : split(line, ' ')) {
      const std::string_view view = word;
      if (view.starts_with("rbytes=")) stats.io_read_bytes += parse_u64(view.substr(7)).value_or(0);
      if (view.starts_with("wbytes=")) stats.io_write_bytes += parse_u64(view.substr(7)).value_or(0);
    }
  }
}

Result<CgroupStats> read_v1_stats(const V1StatDirs& dirs) {
  CgroupStats stats;
  if (dirs.cpuacct != nullptr) {
    stats.cpu_usage_us = TRY(dirs.cpuacct->read_number("cpuacct.usage")).value_or(0) / kNsPerUs;
  }
  if (dirs.cpu != nullptr) {
    stats.cpu_throttled_us =
        flat_value(TRY(dirs.cpu->read("cpu.stat")), "throttled_time").value_or(0) / kNsPerUs;
  }
  if (dirs.memory != nullptr) TRY(read_v1_memory(*dirs.memory, stats));
  if (dirs.pids != nullptr) TRY(read_pids(*dirs.pids, stats));
  if (dirs.blkio != nullptr)
    add_v1_io(TRY(dirs.blkio->read("blkio.throttle.io_service_bytes_recursive")), stats);
  return stats;
}

Result<CgroupStats> read_v2_stats(const CgroupDir& dir) {
  CgroupStats stats;
  const std::string cpu = TRY(dir.read("cpu.stat"));
  stats.cpu_usage_us = flat_value(cpu, "usage_usec").value_or(0);
  stats.cpu_throttled_us = flat_value(cpu, "throttled_usec").value_or(0);
  TRY(read_v2_memory(dir, stats));
  if (dir.has("pids.current")) {
    TRY(read_pids(dir, stats));
  } else {
    stats.pids = TRY(dir.pids()).size();
  }
  if (dir.has("io.stat")) add_v2_io(TRY(dir.read("io.stat")), stats);
  return stats;
}

}  // namespace berth::sys

#include "isolate/systemd_properties.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>
#include <optional>

#include "base/text.hpp"

namespace berth::isolate {
namespace {

using sys::SystemdProperty;

constexpr std::uint64_t kUsPerSecond = 1000000;
constexpr std::uint64_t kQuotaStepUs = 10000;  // systemd keeps whole 10 ms of each second

// Files of one number and their properties; "max" and -1 are systemd's infinity.
constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kNumbers = {{
    {"cpu.weight", "CPUWeight"},
    {"memory.max", "MemoryMax"},
    {"memory.high", "MemoryHigh"},
    {"memory.low", "MemoryLow"},
    {"memory.min", "MemoryMin"},
    {"memory.swap.max", "MemorySwapMax"},
    {"pids.max", "TasksMax"},
    {"cpu.shares", "CPUShares"},
    {"memory.limit_in_bytes", "MemoryLimit"},
    {"blkio.weight", "BlockIOWeight"},
}};

std::optional<std::uint64_t> number_of(std::string_view text) {
  if (text == "max" || text == "-1") return UINT64_MAX;
  return parse_u64(text);
}

// Time of one processor in each second, rounded up as systemd would.
std::uint64_t per_second(std::uint64_t quota_us, std::uint64_t period_us) {
  const std::uint64_t exact = quota_us * kUsPerSecond / period_us;
  return (exact + kQuotaStepUs - 1) / kQuotaStepUs * kQuotaStepUs;
}

void add_quota(std::string_view quota, std::string_view period, std::vector<SystemdProperty>& list) {
  const auto quota_us = number_of(quota);
  const auto period_us = parse_u64(period);
  constexpr std::uint64_t kMostUs = std::uint64_t{1} << 40;
  if (!quota_us || !period_us || *period_us == 0) return;
  const bool none = *quota_us == UINT64_MAX || *quota_us > kMostUs;
  list.emplace_back("CPUQuotaPerSecUSec", none ? UINT64_MAX : per_second(*quota_us, *period_us));
  list.emplace_back("CPUQuotaPeriodUSec", *period_us);
}

// The name of `major` among the character or block devices of /proc/devices.
std::string kind_name(char type, std::int64_t major, std::string_view devices) {
  bool wanted = false;
  for (const std::string& line : split(devices, '\n')) {
    if (line.ends_with("devices:")) wanted = line.starts_with(type == 'c' ? "Character" : "Block");
    const std::string_view entry = trim(line);
    const auto space = entry.find(' ');
    if (wanted && space != std::string_view::npos && parse_i64(entry.substr(0, space)) == major)
      return std::string(entry.substr(space + 1));
  }
  return "";
}

// As DeviceAllow names what a rule stands for; "" for what it cannot name.
std::string device_path(const sys::DeviceRule& rule, std::string_view devices) {
  const std::string_view type = rule.type == 'c' ? "char" : "block";
  if (!rule.major) return rule.minor ? "" : fmt::format("{}-*", type);
  if (rule.minor) return fmt::format("/dev/{}/{}:{}", type, *rule.major, *rule.minor);
  const std::string name = kind_name(rule.type, *rule.major, devices);
  return name.empty() ? "" : fmt::format("{}-{}", type, name);
}

Failure bad_value(const std::string& name, std::string_view value) {
  return fail(
      Code::InvalidArgument,
      fmt::format("org.systemd.property.{}: \"{}\" is no value that berth can read: use true, uint64 5, "
                  "'text' or ['a', 'b']",
                  name, value));
}

std::optional<std::string> quoted(std::string_view text) {
  if (text.size() < 2 || (text.front() != '\'' && text.front() != '"') || text.back() != text.front())
    return std::nullopt;
  const std::string_view inner = text.substr(1, text.size() - 2);
  if (inner.find(text.front()) != std::string_view::npos || inner.find('\\') != std::string_view::npos)
    return std::nullopt;
  return std::string(inner);
}

std::optional<std::vector<std::string>> quoted_list(std::string_view text) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return std::nullopt;
  std::vector<std::string> values;
  for (const std::string& part : split(text.substr(1, text.size() - 2), ',')) {
    auto value = quoted(trim(part));
    if (!value) return std::nullopt;
    values.push_back(*std::move(value));
  }
  return values;
}

std::optional<SystemdProperty> number_property(const std::string& name, std::string_view text) {
  std::string_view type = "int32";
  const auto space = text.find(' ');
  if (space != std::string_view::npos) {
    type = text.substr(0, space);
    text = trim(text.substr(space));
  }
  const auto number = parse_i64(text);
  if (type == "uint64") {
    const auto value = parse_u64(text);
    return value ? std::optional(SystemdProperty(name, *value)) : std::nullopt;
  }
  if (!number || *number > INT32_MAX || *number < INT32_MIN) return std::nullopt;
  const auto bits = static_cast<std::uint32_t>(static_cast<std::int32_t>(*number));
  if (type == "int32") return SystemdProperty::small_number(name, "i", bits);
  if (type == "uint32" && *number >= 0) return SystemdProperty::small_number(name, "u", bits);
  return std::nullopt;
}

// "uint64 5", "5" and "1.5" as microseconds.
std::optional<std::uint64_t> microseconds(std::string_view text) {
  const auto seconds = parse_double(text.substr(text.find_last_of(' ') + 1));
  constexpr double kMost = 1e12;
  if (!seconds || *seconds < 0 || *seconds > kMost) return std::nullopt;
  return static_cast<std::uint64_t>(std::llround(*seconds * static_cast<double>(kUsPerSecond)));
}

}  // namespace

Result<std::vector<SystemdProperty>> systemd_limits(const std::vector<sys::CgroupSetting>& settings) {
  std::vector<SystemdProperty> list;
  std::string quota;
  std::string period = "100000";
  for (const sys::CgroupSetting& setting : settings) {
    const auto row = std::find_if(kNumbers.begin(), kNumbers.end(),
                                  [&](const auto& entry) { return entry.first == setting.file; });
    if (row != kNumbers.end()) {
      if (const auto number = number_of(setting.value)) list.emplace_back(std::string(row->second), *number);
    } else if (setting.file == "io.weight" && setting.value.starts_with("default ")) {
      if (const auto number = parse_u64(setting.value.substr(8))) list.emplace_back("IOWeight", *number);
    } else if (setting.file == "cpu.max") {
      const auto words = split(setting.value, ' ');
      add_quota(words.front(), words.size() > 1 ? words[1] : period, list);
    } else if (setting.file == "cpu.cfs_period_us") {
      period = setting.value;
    } else if (setting.file == "cpu.cfs_quota_us") {
      quota = setting.value;
    } else if (setting.file == "cpuset.cpus" || setting.file == "cpuset.mems") {
      const auto numbers = TRY_DURING(setting.flag, parse_cpu_list(setting.value));
      list.push_back(SystemdProperty::bits(
          setting.file == "cpuset.cpus" ? "AllowedCPUs" : "AllowedMemoryNodes", numbers));
    }
  }
  if (!quota.empty()) add_quota(quota, period, list);
  return list;
}

std::vector<SystemdProperty> systemd_devices(const std::vector<sys::DeviceRule>& rules,
                                             std::string_view devices) {
  std::map<std::string, std::string> allowed;
  bool strict = false;
  for (const sys::DeviceRule& rule : rules) {
    if (rule.type == 'a') {
      strict = !rule.allow;
      allowed.clear();
      continue;
    }
    const std::string path = device_path(rule, devices);
    if (path.empty()) continue;
    if (rule.allow)
      allowed[path] = rule.access.empty() ? "rwm" : rule.access;
    else
      allowed.erase(path);
  }
  if (!strict)
    return {SystemdProperty::text("DevicePolicy", "auto"), SystemdProperty::pairs("DeviceAllow", {})};
  return {SystemdProperty::text("DevicePolicy", "strict"),
          SystemdProperty::pairs("DeviceAllow", {allowed.begin(), allowed.end()})};
}

Result<SystemdProperty> parse_systemd_property(const std::string& name, std::string_view value) {
  const bool letters = !name.empty() && std::all_of(name.begin(), name.end(),
                                                    [](unsigned char c) { return std::isalnum(c) != 0; });
  if (!letters)
    return fail(Code::InvalidArgument, fmt::format("org.systemd.property.{}: not a property", name));
  const std::string_view text = trim(value);
  if (name.ends_with("Sec") && !name.ends_with("USec")) {
    if (const auto time = microseconds(text))
      return SystemdProperty(name.substr(0, name.size() - 3) + "USec", *time);
    return bad_value(name, value);
  }
  if (text == "true" || text == "false") return SystemdProperty::flag(name, text == "true");
  if (auto string = quoted(text)) return SystemdProperty::text(name, *std::move(string));
  if (auto list = quoted_list(text)) return SystemdProperty::texts(name, *std::move(list));
  if (auto number = number_property(name, text)) return *std::move(number);
  return bad_value(name, value);
}

}  // namespace berth::isolate

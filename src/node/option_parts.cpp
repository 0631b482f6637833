#include "node/option_parts.hpp"

#include <fmt/core.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/text.hpp"
#include "node/run_options.hpp"
#include "sys/fd.hpp"
#include "sys/interface.hpp"

namespace berth::node {
namespace {

Failure bad(std::string_view option, std::string_view text, std::string_view problem) {
  return fail(Code::InvalidArgument, fmt::format("{} {}: {}", option, text, problem));
}

Result<std::string> absolute_source(const std::string& text, const std::string& source) {
  if (source.empty() || (source[0] != '/' && source[0] != '.')) {
    return bad("-v", text,
               "named volumes are not there yet: give a directory of the host, beginning with / or .");
  }
  std::array<char, PATH_MAX> resolved;
  if (::realpath(source.c_str(), resolved.data()) == nullptr)
    return fail_errno(fmt::format("-v {}: {}", text, source));
  return std::string(resolved.data());
}

bool is_absolute(const std::string& path) { return !path.empty() && path[0] == '/'; }

Result<std::uint64_t> parse_limit(const std::string& option, const std::string& text) {
  if (text == "-1" || text == "unlimited") return UINT64_MAX;
  const auto value = parse_u64(text);
  if (!value)
    return bad("--ulimit", option, "expected NAME=SOFT[:HARD] with whole numbers, -1 for unlimited");
  return *value;
}

Result<std::string> device_number(const std::string& text, const std::string& device) {
  if (device.find_first_not_of("0123456789:") == std::string::npos && device.find(':') != std::string::npos)
    return device;
  struct stat info {};
  if (::stat(device.c_str(), &info) != 0) return fail_errno(fmt::format("--io-max {}: {}", text, device));
  if (!S_ISBLK(info.st_mode)) return bad("--io-max", text, fmt::format("{} is no block device", device));
  return fmt::format("{}:{}", major(info.st_rdev), minor(info.st_rdev));
}

// Reads `text` with `parse` into `out` where the option was given.
template <typename T, typename Parse>
Result<void> set_if_given(std::string_view option, const std::string& text, std::optional<T>& out,
                          Parse parse) {
  if (text.empty()) return {};
  out = TRY_DURING(option, parse(text));
  return {};
}

Result<std::uint64_t> whole_number(const std::string& text) {
  const auto value = parse_u64(text);
  if (!value) return fail(Code::InvalidArgument, fmt::format("{}: expected a whole number", text));
  return *value;
}

Result<double> number(const std::string& text) {
  const auto value = parse_double(text);
  if (!value) return fail(Code::InvalidArgument, fmt::format("{}: expected a number, such as 1.5", text));
  return *value;
}

}  // namespace

Result<isolate::VolumeMount> parse_volume(const std::string& text) {
  const auto parts = split(text, ':');
  if (parts.size() < 2 || parts.size() > 3 || !is_absolute(parts[1])) {
    return bad("-v", text, "expected SOURCE:DESTINATION[:ro], with an absolute destination");
  }
  isolate::VolumeMount volume{.source = TRY(absolute_source(text, parts[0])), .destination = parts[1]};
  for (const std::string& option : split(parts.size() == 3 ? parts[2] : "", ',')) {
    if (option != "ro" && option != "rw")
      return bad("-v", text, fmt::format("{} is no option: use ro or rw", option));
    volume.read_only = option == "ro";
  }
  return volume;
}

Result<isolate::VolumeMount> parse_tmpfs(const std::string& text) {
  const auto colon = std::min(text.find(':'), text.size());
  isolate::VolumeMount volume{.destination = text.substr(0, colon), .tmpfs = true};
  if (!is_absolute(volume.destination)) return bad("--tmpfs", text, "expected an absolute path");
  for (const std::string& option : split(colon < text.size() ? text.substr(colon + 1) : "", ',')) {
    if (option == "ro")
      volume.read_only = true;
    else if (option.starts_with("size="))
      volume.tmpfs_size_bytes = TRY_DURING("--tmpfs", parse_size(option.substr(5)));
    else if (option != "rw")
      return bad("--tmpfs", text, fmt::format("{} is no option: use size=SIZE, ro or rw", option));
  }
  return volume;
}

Result<isolate::GuestInterface> parse_tap(const std::string& text) {
  constexpr std::string_view kOption = "--network tap:";
  isolate::GuestInterface interface;
  auto parts = split(text, ',');
  if (parts.empty() || parts[0].empty()) return bad(kOption, text, "expected the name of a tap device");
  interface.tap = parts[0];
  for (auto part = parts.begin() + 1; part != parts.end(); ++part) {
    const auto equals = std::min(part->find('='), part->size());
    const std::string key = part->substr(0, equals);
    const std::string value = equals < part->size() ? part->substr(equals + 1) : "";
    if (key == "ip") {
      TRY_DURING("--network tap, ip", sys::parse_ipv4_interface(value));
      interface.address = value;
    } else if (key == "gateway" || key == "dns") {
      TRY_DURING(fmt::format("--network tap, {}", key), sys::parse_ipv4(value));
      if (key == "dns")
        interface.dns.push_back(value);
      else
        interface.gateway = value;
    } else {
      return bad(kOption, text, fmt::format("{} is no option: use ip=, gateway= or dns=", *part));
    }
  }
  if (interface.address.empty()) return bad(kOption, text, "ip=ADDRESS/BITS is missing");
  return interface;
}

Result<isolate::DeviceMapping> parse_device(const std::string& text) {
  auto parts = split(text, ':');
  isolate::DeviceMapping device;
  const auto is_access = [](const std::string& word) {
    return word.find_first_not_of("rwm") == std::string::npos;
  };
  if (parts.size() > 1 && !parts.back().empty() && is_access(parts.back())) {
    device.access = parts.back();
    parts.pop_back();
  }
  if (parts.empty() || parts.size() > 2 || !is_absolute(parts[0]) || !is_absolute(parts.back())) {
    return bad("--device", text, "expected HOST_PATH[:UNIT_PATH[:rwm]] with absolute paths");
  }
  device.host_path = parts[0];
  device.unit_path = parts.back();
  struct stat info {};
  if (::stat(device.host_path.c_str(), &info) != 0) return fail_errno(fmt::format("--device {}", text));
  if (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode))
    return bad("--device", text, "the host's path is no device");
  return device;
}

Result<isolate::Rlimit> parse_ulimit(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) return bad("--ulimit", text, "expected NAME=SOFT[:HARD]");
  const auto limits = split(std::string_view(text).substr(equals + 1), ':');
  if (limits.empty() || limits.size() > 2) return bad("--ulimit", text, "expected NAME=SOFT[:HARD]");
  isolate::Rlimit limit{.name = lower(text.substr(0, equals))};
  limit.soft = TRY(parse_limit(text, limits.front()));
  limit.hard = TRY(parse_limit(text, limits.back()));
  if (limit.soft > limit.hard) return bad("--ulimit", text, "the soft limit is above the hard one");
  return limit;
}

Result<isolate::UserMapping> parse_userns(const std::string& text) {
  auto parts = split(text, ':');
  if (parts.size() == 3 && parts[0] == "0") parts.erase(parts.begin());
  if (parts.size() != 2) parts.assign(2, "");  // no numbers
  const std::uint64_t start = parse_u64(parts[0]).value_or(UINT32_MAX);
  const std::uint64_t count = parse_u64(parts[1]).value_or(0);
  if (count == 0 || start > UINT32_MAX || count > UINT32_MAX - start) {
    return bad("--userns", text, "expected HOST_START:COUNT, such as 100000:65536");
  }
  return isolate::UserMapping{static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(count)};
}

Result<sys::IoMax> parse_io_max(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) return bad("--io-max", text, "expected DEVICE:rbps=,wbps=,riops=,wiops=");
  sys::IoMax limit;
  limit.device = TRY(device_number(text, text.substr(0, colon)));
  for (const std::string& setting : split(std::string_view(text).substr(colon + 1), ',')) {
    const auto equals = std::min(setting.find('='), setting.size());
    const std::string key = setting.substr(0, equals);
    const auto value = parse_size(std::string_view(setting).substr(std::min(equals + 1, setting.size())));
    std::uint64_t* target = key == "rbps"    ? &limit.read_bps
                            : key == "wbps"  ? &limit.write_bps
                            : key == "riops" ? &limit.read_iops
                            : key == "wiops" ? &limit.write_iops
                                             : nullptr;
    if (target == nullptr || !value)
      return bad("--io-max", text, fmt::format("{}: expected rbps=, wbps=, riops= or wiops=", setting));
    *target = *value;
  }
  return limit;
}

Result<sys::Resources> make_resources(const RunOptions& options) {
  sys::Resources resources;
  TRY(set_if_given("--cpus", options.cpus, resources.cpus, number));
  TRY(set_if_given("--cpu-weight", options.cpu_weight, resources.cpu_weight, whole_number));
  TRY(set_if_given("--memory", options.memory, resources.memory_bytes, parse_size));
  TRY(set_if_given("--memory-low", options.memory_low, resources.memory_low_bytes, parse_size));
  TRY(set_if_given("--swap", options.swap, resources.swap_bytes, parse_size));
  TRY(set_if_given("--pids", options.pids, resources.pids, whole_number));
  TRY(set_if_given("--io-weight", options.io_weight, resources.io_weight, whole_number));
  if (!options.cpuset.empty()) {
    TRY_DURING("--cpuset", parse_cpu_list(options.cpuset));
    resources.cpuset = options.cpuset;
  }
  for (const std::string& limit : options.io_max) resources.io_max.push_back(TRY(parse_io_max(limit)));
  return resources;
}

}  // namespace berth::node

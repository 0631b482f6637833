#include "sys/cgroup.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.hpp"
#include "sys/cgroup_v1.hpp"
#include "sys/cgroup_v2.hpp"

namespace berth::sys {
namespace {

// Relative, and without any step that could lead out of the base.
bool is_plain_path(const std::string& path) {
  const std::vector<std::string> parts = split(path, '/');
  return !parts.empty() && std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
    return !part.empty() && part != "." && part != "..";
  });
}

Result<void> check_path(const std::string& path) {
  if (is_plain_path(path)) return {};
  return fail(Code::InvalidArgument, fmt::format("cannot use \"{}\" as the name of a control group", path));
}

}  // namespace

Result<std::unique_ptr<Cgroup>> Cgroup::create(const CgroupHost& host, const std::string& path,
                                               const Resources& resources) {
  TRY(check_path(path));
  TRY(resources.check());
  if (host.mode == CgroupMode::None || !host.writable) {
    const std::vector<std::string_view> flags = resources.flags();
    return fail(Code::FailedPrecondition,
                fmt::format("{}: {}", flags.empty() ? "cannot make a control group" : flags[0],
                            host.why_not("freezer")));
  }
  if (host.mode == CgroupMode::V2) return V2Cgroup::create(host, path, resources);
  return V1Cgroup::create(host, path, resources);
}

Result<std::unique_ptr<Cgroup>> Cgroup::open(const CgroupHost& host, const std::string& path) {
  TRY(check_path(path));
  if (host.mode == CgroupMode::None || !host.writable) {
    return fail(Code::NotFound,
                fmt::format("there is no control group {}: {}", path, host.why_not("freezer")));
  }
  if (host.mode == CgroupMode::V2) return V2Cgroup::open(host, path);
  return V1Cgroup::open(host, path);
}

}  // namespace berth::sys

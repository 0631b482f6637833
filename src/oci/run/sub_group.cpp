#include "oci/run/sub_group.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "isolate/cgroup.hpp"

namespace berth::oci {
namespace {

struct SubGroup {
  std::vector<std::string> controllers;  // none: all
  std::string path;
};

Result<SubGroup> parse(const std::string& text) {
  const auto colon = text.find(':');
  SubGroup sub;
  if (colon != std::string::npos) sub.controllers = split(text.substr(0, colon), ',');
  std::string path = colon == std::string::npos ? text : text.substr(colon + 1);
  for (const std::string& part : split(path, '/')) {
    if (part == "..")
      return fail(Code::InvalidArgument,
                  fmt::format("--cgroup {}: must not lead out of the container's", text));
    if (!part.empty() && part != ".") sub.path += (sub.path.empty() ? "" : "/") + part;
  }
  return sub;
}

// Where the hierarchy of `controller` is mounted; under version 2 its one mount.
Result<std::string> mount_of(const std::string& controller) {
  const sys::CgroupHost& host = *TRY(isolate::cgroup_host());
  if (host.mode == sys::CgroupMode::V2) return host.v2_mount;
  for (const auto& hierarchy : host.v1) {
    const auto& names = hierarchy.controllers;
    if (std::find(names.begin(), names.end(), controller) != names.end()) return hierarchy.mount_point;
  }
  return fail(Code::InvalidArgument, fmt::format("--cgroup: {}", host.why_not(controller)));
}

// The group's directories in the hierarchies that are meant.
Result<std::vector<std::string>> directories_of(const sys::Cgroup& group, const SubGroup& sub) {
  if (sub.controllers.empty()) return group.directories();
  std::set<std::string> chosen;
  for (const std::string& controller : sub.controllers) {
    const std::string mount = TRY(mount_of(controller));
    for (const std::string& directory : group.directories()) {
      if (directory.starts_with(mount + "/")) chosen.insert(directory);
    }
  }
  return std::vector<std::string>(chosen.begin(), chosen.end());
}

Result<void> check_controllers(const SubGroup& sub, std::set<std::string>& seen, const std::string& text) {
  for (const std::string& controller : sub.controllers) {
    if (!seen.insert(controller).second)
      return fail(Code::InvalidArgument, fmt::format("--cgroup {}: {} is named twice", text, controller));
  }
  return {};
}

}  // namespace

Result<std::vector<sys::CgroupDir>> find_sub_groups(const sys::Cgroup& group,
                                                    const std::vector<std::string>& wanted) {
  std::vector<sys::CgroupDir> found;
  std::set<std::string> seen;
  for (const std::string& text : wanted) {
    const SubGroup sub = TRY(parse(text));
    TRY(check_controllers(sub, seen, text));
    if (sub.path.empty()) continue;  // the container's own
    bool any = false;
    for (const std::string& directory : TRY(directories_of(group, sub))) {
      auto dir = TRY(sys::CgroupDir::open(directory, sub.path));
      if (!dir) continue;
      found.push_back(*std::move(dir));
      any = true;
    }
    if (!any) return fail(Code::NotFound, fmt::format("--cgroup {}: the container has no such group", text));
  }
  return found;
}

}  // namespace berth::oci

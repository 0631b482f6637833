// The unit's control group: what it may use, and which devices it may open.
#include "isolate/cgroup.hpp"

#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "isolate/isolator.hpp"

namespace berth::isolate {
namespace {

Result<std::vector<sys::DeviceRule>> device_rules(const UnitConfig& config) {
  std::vector<sys::DeviceRule> rules = {{false, 'a', {}, {}, "rwm"}};
  rules.insert(rules.end(), customary_device_rules().begin(), customary_device_rules().end());
  for (const DeviceMapping& device : config.devices) {
    struct stat info {};
    if (::stat(device.host_path.c_str(), &info) != 0) {
      return fail_errno(fmt::format("--device {}: cannot find it", device.host_path));
    }
    rules.push_back({true, S_ISBLK(info.st_mode) ? 'b' : 'c',
                     static_cast<std::int64_t>(::major(info.st_rdev)),
                     static_cast<std::int64_t>(::minor(info.st_rdev)), device.access});
  }
  return rules;
}

bool confines_devices(const UnitConfig& config) {
  return config.unit == UnitKind::Container && !config.privileged;
}

class ControlGroup final : public Isolator {
 public:
  std::string_view name() const override { return "cgroup"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    const sys::CgroupHost& host = *TRY(cgroup_host());
    if (!host.why_none().empty()) return require_nothing(instance.config, host);
    plan.cgroup = TRY(sys::Cgroup::create(host, cgroup_path(instance.config), instance.config.resources));
    if (confines_devices(instance.config) && host.why_not("devices").empty()) {
      TRY(plan.cgroup->set_devices(TRY(device_rules(instance.config))));
    }
    return {};
  }

  Result<void> prepare_exec(const ExecTarget& target, LaunchPlan& plan) const override {
    plan.cgroup = TRY(find_cgroup(target.config));
    plan.beside = target.pid;
    return {};
  }

  Result<void> cleanup(const UnitConfig& config) const override {
    const auto group = TRY(find_cgroup(config));
    if (!group) return {};
    TRY(group->kill_all());
    return group->remove();
  }

 private:
  // An ordinary user may own no control groups: fine as long as no limit was asked for.
  static Result<void> require_nothing(const UnitConfig& config, const sys::CgroupHost& host) {
    if (config.resources.empty()) return {};
    return fail(Code::FailedPrecondition,
                fmt::format("{}: {}", config.resources.flags().front(), host.why_none()));
  }
};

}  // namespace

Result<const sys::CgroupHost*> cgroup_host() {
  static const Result<sys::CgroupHost> host = sys::CgroupHost::probe();
  if (!host) return fail(host.error());
  return &*host;
}

const std::vector<sys::DeviceRule>& customary_device_rules() {
  static const std::vector<sys::DeviceRule> rules = {
      {true, 'c', {}, {}, "m"},   {true, 'b', {}, {}, "m"}, {true, 'c', 1, 3, "rwm"},
      {true, 'c', 1, 5, "rwm"},   {true, 'c', 1, 7, "rwm"}, {true, 'c', 1, 8, "rwm"},
      {true, 'c', 1, 9, "rwm"},   {true, 'c', 5, 0, "rwm"}, {true, 'c', 5, 1, "rwm"},
      {true, 'c', 5, 2, "rwm"},      // console and ptmx
      {true, 'c', 136, {}, "rwm"}};  // pseudo-terminals
  return rules;
}

std::string cgroup_path(const UnitConfig& config) { return "berth/" + config.id; }

Result<std::unique_ptr<sys::Cgroup>> find_cgroup(const UnitConfig& config) {
  return find_cgroup_at(cgroup_path(config));
}

Result<std::unique_ptr<sys::Cgroup>> find_cgroup_at(const std::string& path) {
  const sys::CgroupHost& host = *TRY(cgroup_host());
  if (!host.writable) return std::unique_ptr<sys::Cgroup>();
  auto group = sys::Cgroup::open(host, path);
  if (!group && group.error().code == Code::NotFound) return std::unique_ptr<sys::Cgroup>();
  return group;
}

Result<std::optional<sys::CgroupDir>> group_below(const sys::Cgroup& group, pid_t pid) {
  constexpr std::size_t kMaxBytes = 64 << 10;
  const sys::CgroupHost& host = *TRY(cgroup_host());
  for (const std::string& line :
       split(TRY(sys::read_file(fmt::format("/proc/{}/cgroup", pid), kMaxBytes)), '\n')) {
    if (!group.is_v2() || !line.starts_with("0::/")) continue;
    const std::string its = host.v2_mount + line.substr(3);
    const std::string directory = group.directories().front();
    if (its.starts_with(directory + "/"))
      return sys::CgroupDir::open(directory, its.substr(directory.size() + 1));
  }
  return std::nullopt;
}

const Isolator& cgroup_isolator() {
  static const ControlGroup isolator;
  return isolator;
}

}  // namespace berth::isolate

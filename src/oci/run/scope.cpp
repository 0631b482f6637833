#include "oci/run/scope.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include "base/text.hpp"
#include "isolate/cgroup.hpp"
#include "isolate/systemd_properties.hpp"
#include "oci/plan/context.hpp"
#include "sys/fd.hpp"
#include "sys/paths.hpp"
#include "sys/systemd.hpp"

namespace berth::oci {
namespace {

Result<std::optional<std::string>> no_file(std::string_view, const std::string&) {
  return std::optional<std::string>();
}

Result<std::vector<sys::SystemdProperty>> limits_of(const isolate::RuntimeResources& wanted, bool v2,
                                                    const isolate::ReadGroupFile& read) {
  return isolate::systemd_limits(
      TRY(v2 ? isolate::runtime_v2_settings(wanted, read) : isolate::runtime_v1_settings(wanted, read)));
}

Result<void> add_properties(const Spec& spec, const sys::CgroupHost& host,
                            std::vector<sys::SystemdProperty>& properties) {
  const auto add = [&](std::vector<sys::SystemdProperty> more) {
    properties.insert(properties.end(), more.begin(), more.end());
  };
  add(TRY(limits_of(spec.platform.resources, host.mode == sys::CgroupMode::V2, no_file)));
  if (!spec.platform.resources.devices.empty())
    add(isolate::systemd_devices(device_rules(spec), TRY(sys::read_file("/proc/devices"))));
  for (const auto& [name, value] : spec.wishes.systemd_properties)
    properties.push_back(TRY(isolate::parse_systemd_property(name, value)));
  return {};
}

// systemd counts from the hierarchy's root, Cgroup from the directory below which groups are ours to make.
Result<std::string> below_base(const sys::CgroupHost& host, const std::string& group) {
  if (host.mode != sys::CgroupMode::V2) return group.substr(1);
  const std::string directory = host.v2_mount + group;
  if (directory.starts_with(host.v2_base + "/")) return directory.substr(host.v2_base.size() + 1);
  return fail(
      Code::FailedPrecondition,
      fmt::format("systemd put the container into {}, which is not below {}: nothing may be made there",
                  group, host.v2_base));
}

}  // namespace

Result<void> enter_users_systemd() {
  const sys::CgroupHost& host = *TRY(isolate::cgroup_host());
  if (!host.lent) return {};
  sys::SystemdScope scope{
      "user.slice", fmt::format("berth-oci-{}.scope", ::getpid()), "berth-oci at work", {}};
  return TRY(sys::Systemd::connect(true)).start_scope(scope, ::getpid());
}

Result<Scope> Scope::start(const Spec& spec, State& state, const ContainerDir& dir) {
  const bool user = sys::is_ordinary_user();
  const std::string& path = spec.platform.cgroups_path;
  sys::SystemdScope scope =
      TRY(sys::parse_systemd_path(path.empty() ? ":berth-oci:" + state.id : path, user));
  const sys::CgroupHost& host = *TRY(isolate::cgroup_host());
  TRY(enter_users_systemd());
  TRY(add_properties(spec, host, scope.properties));
  sys::Systemd systemd = TRY(sys::Systemd::connect(user));
  state.unit = scope.name;
  TRY(state.save(dir));
  sys::StandIn stand_in = TRY(sys::StandIn::start());
  TRY(systemd.start_scope(scope, stand_in.pid()));
  state.cgroup = TRY(below_base(host, TRY(systemd.control_group(scope.name))));
  if (!spec.wishes.systemd_subgroup.empty()) state.cgroup += "/" + spec.wishes.systemd_subgroup;
  TRY(state.save(dir));
  return Scope(std::move(stand_in));
}

Result<void> update_scope(const State& state, sys::Cgroup& group, const isolate::RuntimeResources& wanted) {
  if (state.unit.empty()) return {};
  const auto read = [&group](std::string_view controller, const std::string& file) {
    return group.read(controller, file);
  };
  isolate::RuntimeResources told = wanted;
  // systemd wants the two as one figure; version 1 has them apart.
  const auto period = TRY(group.read("cpu", "cpu.cfs_period_us"));
  if (wanted.cpu.quota_us && !wanted.cpu.period_us && period) told.cpu.period_us = parse_u64(trim(*period));
  const auto limits = TRY(limits_of(told, group.is_v2(), read));
  if (limits.empty()) return {};
  return TRY(sys::Systemd::connect(sys::is_ordinary_user())).set_properties(state.unit, limits);
}

Result<void> stop_scope(const State& state) {
  if (state.unit.empty()) return {};
  return TRY(sys::Systemd::connect(sys::is_ordinary_user())).stop_unit(state.unit);
}

}  // namespace berth::oci

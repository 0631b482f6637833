#include "oci/run/prepare.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/text.hpp"
#include "isolate/cgroup.hpp"
#include "sys/fd.hpp"
#include "sys/paths.hpp"
#include "sys/user_map.hpp"

namespace berth::oci {
namespace {

Result<std::string> absolute_directory(const std::string& path, std::string_view what) {
  const std::unique_ptr<char, decltype(&::free)> resolved(::realpath(path.c_str(), nullptr), ::free);
  if (!resolved) return fail_errno(fmt::format("{} {}", what, path));
  struct stat info {};
  if (::stat(resolved.get(), &info) != 0) return fail_errno(fmt::format("{} {}", what, path));
  if (!S_ISDIR(info.st_mode))
    return fail(Code::InvalidArgument, fmt::format("{} {}: not a directory", what, path));
  return std::string(resolved.get());
}

Result<void> check_program(const Process& process) {
  if (process.args.empty()) return fail(Code::InvalidArgument, "config.process.args: names no program");
  return {};
}

Result<void> check_console(const CreateRequest& request, const Process& process) {
  if (process.terminal && request.console_socket.empty() && !request.keeps_terminal) {
    return fail(Code::InvalidArgument,
                "process.terminal: somebody must hold the terminal's other end: give --console-socket");
  }
  if (!process.terminal && !request.console_socket.empty())
    return fail(Code::InvalidArgument, "--console-socket: process.terminal is false");
  return {};
}

Result<void> check_descriptors(int count) {
  for (int fd = 3; fd < 3 + count; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0)
      return fail(Code::InvalidArgument,
                  fmt::format("--preserve-fds (and LISTEN_FDS): descriptor {} is not open", fd));
  }
  return {};
}

}  // namespace

Result<Prepared> prepare(const CreateRequest& request) {
  const std::string bundle =
      TRY(absolute_directory(request.bundle.empty() ? "." : request.bundle, "--bundle"));
  const std::string file = request.config.empty() ? "config.json" : request.config;
  const std::string path = file.starts_with('/') ? file : fmt::format("{}/{}", bundle, file);
  std::string config = TRY(sys::read_file(path, kMaxConfigBytes));
  Spec spec = TRY(Spec::parse(config));
  TRY(check_program(spec.process));
  TRY(check_console(request, spec.process));
  TRY(check_descriptors(request.options.listen_fds + request.options.preserve_fds));

  State state;
  state.id = request.id;
  state.oci_version = spec.oci_version;
  state.bundle = bundle;
  state.root = TRY(absolute_directory(
      spec.root.starts_with('/') ? spec.root : fmt::format("{}/{}", bundle, spec.root), "root.path"));
  state.created = format_rfc3339(std::chrono::system_clock::now());
  state.owner = sys::outer_uid();
  if (!request.options.systemd_cgroup)
    state.cgroup = TRY(isolate::cgroup_path_of(spec.platform.cgroups_path, "berth-oci", request.id));
  state.annotations = spec.annotations;
  state.late_hooks =
      !spec.hooks.of(HookStage::Poststart).empty() || !spec.hooks.of(HookStage::Poststop).empty();
  return Prepared{std::move(spec), std::move(state), std::move(config)};
}

// An ordinary user may own no control groups: fine as long as no limit was asked for.
Result<std::unique_ptr<sys::Cgroup>> make_group(const State& state) {
  const sys::CgroupHost& host = *TRY(isolate::cgroup_host());
  if (!host.writable || (host.lent && state.unit.empty())) return std::unique_ptr<sys::Cgroup>();
  auto group = TRY(sys::Cgroup::create(host, state.cgroup, {}));
  TRY(group->make_everywhere());
  return group;
}

Result<void> fill_group(sys::Cgroup& group, const Spec& spec) {
  const sys::CgroupHost& host = *TRY(isolate::cgroup_host());
  TRY(isolate::apply_runtime_resources(group, spec.platform.resources));
  // Programs that confine devices are root's to load; an ordinary user can make no device that they would
  // stop.
  const bool rules =
      !spec.platform.resources.devices.empty() && host.why_not("devices").empty() && !sys::is_ordinary_user();
  return rules ? group.set_devices(device_rules(spec)) : Result<void>();
}

}  // namespace berth::oci

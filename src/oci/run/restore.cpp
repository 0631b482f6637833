#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <climits>
#include <optional>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "isolate/cgroup.hpp"
#include "isolate/mount_steps.hpp"
#include "oci/run/checkpoint.hpp"
#include "oci/run/console.hpp"
#include "oci/run/delete.hpp"
#include "oci/run/prepare.hpp"
#include "oci/run/scope.hpp"
#include "sys/mount.hpp"
#include "sys/process.hpp"

namespace berth::oci {
namespace {

constexpr const char* kRootMount = "criu-root";
constexpr const char* kPidFile = "criu.pid";

Result<std::vector<std::string>> read_descriptors(const std::string& image_dir) {
  constexpr std::size_t kMaxBytes = 64 << 10;
  auto text = sys::read_file(fmt::format("{}/{}", image_dir, kDescriptorsFile), kMaxBytes);
  if (!text && text.error().code == Code::NotFound) return std::vector<std::string>{};
  const Json json = TRY(parse_json(TRY(std::move(text)), kDescriptorsFile));
  return JsonView(json, kDescriptorsFile).as_strings();
}

// CRIU itself runs inside the container's group, so that what it makes is born there, and in a mount
// namespace in which the root file system is a mount of its own, as it demands.
Result<void> run_criu(const std::vector<std::string>& command, const std::string& root,
                      const std::string& place, std::unique_ptr<sys::Cgroup> group, const std::string& log) {
  isolate::LaunchPlan plan;
  plan.args = command;
  for (char** variable = ::environ; *variable != nullptr; ++variable) plan.env.emplace_back(*variable);
  plan.cgroup = std::move(group);
  plan.new_namespaces = CLONE_NEWNS;
  plan.root = TRY(isolate::clone_host_path(root, true));
  plan.then("make mounts private",
            []() noexcept { return sys::change_mount_at("/", true, 0, 0, MS_PRIVATE); });
  plan.then(fmt::format("mount the root file system on {}", place),
            [mount = plan.root.get(), place]() noexcept {
              const sys::Fd target(::open(place.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
              return target ? sys::attach_mount(mount, target.get()) : errno;
            });
  const auto criu = TRY(isolate::launch(plan, {}));
  const auto code = TRY(sys::reap(criu.pid, true));
  if (code && sys::exit_code_of(*code) == 0) return {};
  return fail(Code::FailedPrecondition, fmt::format("criu: {} (see {})", errors_in(log), log));
}

class Restoring {
 public:
  Restoring(const CreateRequest& request, const CriuOptions& options, const Prepared& prepared,
            ContainerDir& dir, State& state)
      : request_(request), options_(options), prepared_(prepared), dir_(dir), state_(state) {}

  Result<isolate::LaunchedProcess> run() {
    TRY(sys::replace_file(dir_.file(kConfigFile), prepared_.config, 0600));
    TRY(state_.save(dir_));
    std::optional<Scope> scope;
    if (request_.options.systemd_cgroup) scope = TRY(Scope::start(prepared_.spec, state_, dir_));
    auto group = TRY(make_group(prepared_.spec, state_));
    const std::string place = dir_.file(kRootMount);
    TRY(sys::make_dir(place, 0700));
    const auto& work = options_.work_dir.empty() ? options_.image_dir : options_.work_dir;
    const auto command = restore_command(options_, prepared_.spec, state_.bundle, place, dir_.file(kPidFile),
                                         TRY(read_descriptors(options_.image_dir)));
    TRY_DURING(
        fmt::format("cannot restore container {}", state_.id),
        run_criu(command, state_.root, place, std::move(group), fmt::format("{}/{}", work, kRestoreLog)));
    return take_over();
  }

 private:
  Result<isolate::LaunchedProcess> take_over() {
    const auto pid = parse_u64(trim(TRY(sys::read_file(dir_.file(kPidFile)))));
    if (!pid || *pid == 0 || *pid > INT_MAX) return fail(Code::Internal, "criu told no process");
    isolate::LaunchedProcess process;
    process.pid = static_cast<pid_t>(*pid);
    process.pidfd = TRY(sys::open_pidfd(process.pid));
    state_.pid = process.pid;
    state_.start_time = TRY(sys::process_start_time(process.pid));
    state_.creating = false;
    TRY(state_.save(dir_));
    if (!request_.pid_file.empty()) TRY(write_pid_file(request_.pid_file, process.pid));
    return process;
  }

  const CreateRequest& request_;
  const CriuOptions& options_;
  const Prepared& prepared_;
  ContainerDir& dir_;
  State& state_;
};

}  // namespace

Result<Container> restore(const CreateRequest& request, CriuOptions options) {
  options.program = TRY(find_criu(options.program));
  Prepared prepared = TRY(prepare(request));
  TRY(check_criu_can(prepared.spec));
  if (!sys::exists(options.image_dir))
    return fail(Code::NotFound,
                fmt::format("--image-path {}: there is no such directory", options.image_dir));
  if (!options.work_dir.empty()) TRY_DURING("--work-path", sys::make_dir(options.work_dir, 0700));
  State state = prepared.state;
  ContainerDir dir = TRY(ContainerDir::create(request.root, request.id));
  auto process = Restoring(request, options, prepared, dir, state).run();
  if (!process) {
    clear_up(dir, state);
    return fail(std::move(process).error());
  }
  return Container{std::move(dir), std::move(state), std::move(prepared.spec), *std::move(process)};
}

}  // namespace berth::oci

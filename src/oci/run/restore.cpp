#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/json_value.hpp"
#include "isolate/cgroup.hpp"
#include "isolate/mount_steps.hpp"
#include "oci/run/checkpoint.hpp"
#include "oci/run/console.hpp"
#include "oci/run/criu_process.hpp"
#include "oci/run/delete.hpp"
#include "oci/run/prepare.hpp"
#include "oci/run/scope.hpp"
#include "sys/mount.hpp"
#include "sys/mount_target.hpp"
#include "sys/process.hpp"

namespace berth::oci {
namespace {

constexpr const char* kRootMount = "criu-root";

Result<std::vector<std::string>> read_descriptors(const std::string& image_dir) {
  constexpr std::size_t kMaxBytes = 64 << 10;
  auto text = sys::read_file(fmt::format("{}/{}", image_dir, kDescriptorsFile), kMaxBytes);
  if (!text && text.error().code == Code::NotFound) return std::vector<std::string>{};
  const Json json = TRY(parse_json(TRY(std::move(text)), kDescriptorsFile));
  return JsonView(json, kDescriptorsFile).as_strings();
}

struct MountPoint {
  std::string path;
  sys::TargetKind kind;
};

// Where mounts lie in the root file system itself. CRIU makes no such place, and a root that came from
// elsewhere, or lost its /run, may lack it.
Result<std::vector<MountPoint>> mount_points_of(const Spec& spec, const std::string& bundle) {
  std::vector<MountPoint> points;
  for (const auto& mount : spec.mounts) {
    const bool nested = std::any_of(spec.mounts.begin(), spec.mounts.end(), [&](const auto& other) {
      return mount.destination.starts_with(other.destination + "/");
    });
    if (nested) continue;
    auto kind = sys::TargetKind::Directory;
    if (mount.options.bind) {
      const auto info = TRY_DURING(mount.field + ".source", sys::stat(source_of(mount, bundle)));
      if (!S_ISDIR(info.st_mode)) kind = sys::TargetKind::File;
    }
    points.push_back({mount.destination, kind});
  }
  return points;
}

int make_mount_points(int root, const std::vector<MountPoint>& points) noexcept {
  for (const MountPoint& point : points) {
    int fd = -1;
    if (const int error = sys::open_target_in(root, point.path.c_str(), {.kind = point.kind}, &fd);
        error != 0)
      return error;
    ::close(fd);
  }
  return 0;
}

// What CRIU needs around it. It runs inside the container's group, so that what it makes is born there, and
// in a mount namespace in which the root file system is a mount of its own, as it demands.
struct Surroundings {
  std::string root;
  std::string place;  // where the root file system is mounted for CRIU
  std::vector<MountPoint> mount_points;
  std::vector<InheritedNamespace> namespaces;  // stay open to it
};

// `around` outlives the plan.
Result<isolate::LaunchPlan> plan_for(const Surroundings& around, std::unique_ptr<sys::Cgroup> group) {
  isolate::LaunchPlan plan;
  for (const InheritedNamespace& kept : around.namespaces) hand_on(kept.fd.get(), "a namespace", plan);
  plan.cgroup = std::move(group);
  plan.new_namespaces = CLONE_NEWNS;
  plan.root = TRY(isolate::clone_host_path(around.root, true));
  plan.then("make mounts private",
            []() noexcept { return sys::change_mount_at("/", true, 0, 0, MS_PRIVATE); });
  plan.then("make the places of its mounts",
            [mount = plan.root.get(), &points = around.mount_points]() noexcept {
              return make_mount_points(mount, points);
            });
  plan.then(fmt::format("mount the root file system on {}", around.place),
            [mount = plan.root.get(), &place = around.place]() noexcept {
              const sys::Fd target(::open(place.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
              return target ? sys::attach_mount(mount, target.get()) : errno;
            });
  return plan;
}

class Restoring {
 public:
  Restoring(const CreateRequest& request, const CriuOptions& options, const Prepared& prepared,
            ContainerDir& dir, State& state)
      : request_(request), options_(options), prepared_(prepared), dir_(dir), state_(state) {}

  Result<isolate::LaunchedProcess> run() {
    TRY(sys::replace_file(dir_.file(kConfigFile), prepared_.config, 0600, sys::Keeping::Transient));
    TRY(state_.save(dir_));
    std::optional<Scope> scope;
    if (request_.options.systemd_cgroup) scope = TRY(Scope::start(prepared_.spec, state_, dir_));
    auto group = TRY(make_group(state_));
    if (group) TRY(fill_group(*group, prepared_.spec));
    const Surroundings around{state_.root, dir_.file(kRootMount),
                              TRY(mount_points_of(prepared_.spec, state_.bundle)),
                              TRY(open_outside(prepared_.spec))};
    TRY(sys::make_dir(around.place, 0700));
    const CriuPlaces places = TRY(open_places(options_));
    const auto request = restore_request(options_, places, prepared_.spec, state_.bundle, around.place,
                                         TRY(read_descriptors(options_.image_dir)), around.namespaces);
    auto plan = TRY(plan_for(around, std::move(group)));
    CriuOutcome made = TRY_DURING(fmt::format("cannot restore container {}", state_.id),
                                  run_criu(options_.program, request, log_path(options_, kRestoreLog), plan));
    return take_over(std::move(made));
  }

 private:
  Result<isolate::LaunchedProcess> take_over(CriuOutcome made) {
    if (made.pid <= 0) return fail(Code::Internal, "criu told no process");
    isolate::LaunchedProcess process;
    process.pid = made.pid;
    process.pidfd = TRY(sys::open_pidfd(process.pid));
    state_.pid = process.pid;
    state_.start_time = TRY(sys::process_start_time(process.pid));
    state_.creating = false;
    TRY(state_.save(dir_));
    process.terminal = TRY(hand_over(std::move(made.terminal)));
    if (!request_.pid_file.empty()) TRY(write_pid_file(request_.pid_file, process.pid));
    return process;
  }

  // Gives what is left for the caller to hold.
  Result<sys::Fd> hand_over(sys::Fd terminal) const {
    if (!prepared_.spec.process.terminal) return sys::Fd();
    if (!terminal) {
      return fail(Code::FailedPrecondition,
                  fmt::format("--image-path {}: process.terminal is true, but what is there has no terminal",
                              options_.image_dir));
    }
    if (request_.console_socket.empty()) return terminal;
    TRY(send_console(request_.console_socket, terminal.get()));
    return sys::Fd();
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

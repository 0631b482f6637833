#include "oci/state/state.hpp"

#include <fmt/core.h>

#include <array>
#include <climits>

#include "base/json_value.hpp"
#include "isolate/cgroup.hpp"
#include "sys/process.hpp"

namespace berth::oci {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"creating", "created", "running", "paused", "stopped"};
constexpr std::size_t kMaxStateBytes = 16 << 20;

bool waits_at_gate(const ContainerDir& dir) {
  const std::string path = dir.file(kGateLock);
  if (!sys::exists(path)) return false;
  const auto free = sys::try_lock_file(path);
  return free && !*free;
}

Result<bool> is_frozen(const State& state) {
  if (state.cgroup.empty()) return false;
  const auto group = TRY(isolate::find_cgroup_at(state.cgroup));
  return group != nullptr && TRY(group->frozen());
}

}  // namespace

std::string_view status_name(Status status) { return kNames.at(static_cast<std::size_t>(status)); }

Result<State> State::parse(const std::string& id, std::string_view text) {
  const Json json = TRY(parse_json(text, "state.json"));
  const JsonView view(json, "state.json");
  State state;
  state.id = id;
  state.oci_version = TRY(view.string("ociVersion"));
  const std::int64_t pid = TRY(view.int_or("pid", 0));
  if (pid < 0 || pid > INT_MAX) return TRY(view.at("pid")).bad("not the number of a process");
  state.pid = static_cast<pid_t>(pid);
  state.start_time = TRY(view.uint("startTime"));
  state.bundle = TRY(view.string("bundle"));
  state.root = TRY(view.string("rootfs"));
  state.created = TRY(view.string("created"));
  state.owner = TRY(view.uint("owner"));
  state.cgroup = TRY(view.string("cgroup"));
  state.unit = TRY(view.string_or("unit", ""));
  state.creating = TRY(view.bool_or("creating", false));
  state.late_hooks = TRY(view.bool_or("lateHooks", false));
  if (const auto annotations = TRY(view.find("annotations"))) {
    for (const auto& [key, value] : TRY(annotations->as_object()))
      state.annotations.emplace(key, TRY(value.as_string()));
  }
  return state;
}

std::string State::text() const {
  const Json json = {{"ociVersion", oci_version},
                     {"pid", pid},
                     {"startTime", start_time},
                     {"bundle", bundle},
                     {"rootfs", root},
                     {"created", created},
                     {"owner", owner},
                     {"cgroup", cgroup},
                     {"unit", unit},
                     {"annotations", annotations},
                     {"creating", creating},
                     {"lateHooks", late_hooks}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<State> State::load(const ContainerDir& dir) {
  auto text = sys::read_file(dir.file(kStateFile), kMaxStateBytes);
  if (!text && text.error().code == Code::NotFound) {
    // Whoever made the directory was killed before its first step.
    State state;
    state.id = dir.id();
    if (sys::exists(dir.path())) return state;
    return fail(Code::NotFound, fmt::format("container does not exist: {}", dir.id()));
  }
  return TRY_DURING(dir.path(), parse(dir.id(), TRY(std::move(text))));
}

Result<void> State::save(const ContainerDir& dir) const {
  return sys::replace_file(dir.file(kStateFile), text(), 0600, sys::Keeping::Transient);
}

bool is_alive(const State& state) {
  if (state.pid <= 0) return false;
  const auto process = sys::look_up_process(state.pid);
  return process && process->start_time == state.start_time && !process->ended();
}

Result<Status> status_of(const ContainerDir& dir, const State& state) {
  if (!is_alive(state)) return state.pid == 0 && dir.busy() ? Status::Creating : Status::Stopped;
  if (state.creating) return Status::Creating;
  if (TRY(is_frozen(state))) return Status::Paused;
  return waits_at_gate(dir) ? Status::Created : Status::Running;
}

std::string StateText::with(pid_t pid) const { return fmt::format("{}{}{}", before_pid, pid, after_pid); }

StateText state_text(const State& state, Status status) {
  Json json = {{"ociVersion", state.oci_version},
               {"id", state.id},
               {"status", status_name(status)},
               {"bundle", state.bundle}};
  if (!state.annotations.empty()) json["annotations"] = state.annotations;
  std::string rest = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  rest.front() = ',';
  return {"{\"pid\":", std::move(rest)};
}

}  // namespace berth::oci

#include "oci/run/inspect.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/json_value.hpp"
#include "isolate/cgroup.hpp"
#include "isolate/user.hpp"
#include "oci/state/state.hpp"

namespace berth::oci {
namespace {

struct Row {
  State state;
  Status status;
};

Result<Row> look_at(const std::string& root, const std::string& id) {
  const ContainerDir dir = TRY(ContainerDir::open(root, id));
  State state = TRY(State::load(dir));
  const Status status = TRY(status_of(dir, state));
  return Row{std::move(state), status};
}

// As the host's users are called.
std::string owner_name(std::uint64_t owner) {
  if (owner == 0) return "root";
  return isolate::user_name(sys::read_file("/etc/passwd").value_or(std::string()), owner);
}

Json document(const Row& row) {
  const State& state = row.state;
  return {{"ociVersion", state.oci_version.empty() ? "1.0.0" : state.oci_version},
          {"id", state.id},
          {"pid", row.status == Status::Stopped ? 0 : state.pid},
          {"status", status_name(row.status)},
          {"bundle", state.bundle},
          {"rootfs", state.root},
          {"created", state.created},
          {"annotations", state.annotations},
          {"owner", owner_name(state.owner)}};
}

std::string table(const std::vector<Row>& rows) {
  std::size_t id_width = 4;
  std::size_t bundle_width = 8;
  for (const Row& row : rows) {
    id_width = std::max(id_width, row.state.id.size() + 2);
    bundle_width = std::max(bundle_width, row.state.bundle.size() + 2);
  }
  const auto line = [&](std::string_view id, std::string_view pid, std::string_view status,
                        std::string_view bundle, std::string_view created, std::string_view owner) {
    return fmt::format("{:<{}}{:<12}{:<12}{:<{}}{:<32}{}\n", id, id_width, pid, status, bundle, bundle_width,
                       created, owner);
  };
  std::string text = line("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
  for (const Row& row : rows) {
    const Json json = document(row);
    text += line(row.state.id, std::to_string(json["pid"].get<pid_t>()), status_name(row.status),
                 row.state.bundle, row.state.created, json["owner"].get<std::string>());
  }
  return text;
}

Result<std::unique_ptr<sys::Cgroup>> group_of(const State& state, std::string_view wish) {
  if (!state.cgroup.empty()) {
    auto group = TRY(isolate::find_cgroup_at(state.cgroup));
    if (group) return group;
  }
  return fail(Code::FailedPrecondition, fmt::format("cannot {} {}: it has no control group", wish, state.id));
}

}  // namespace

Result<std::string> describe_state(const std::string& root, const std::string& id) {
  return document(TRY(look_at(root, id))).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<std::string> list_containers(const std::string& root, ListFormat format) {
  std::vector<Row> rows;
  std::string names;
  for (const std::string& id : TRY(ContainerDir::list(root))) {
    names += id + "\n";
    if (format == ListFormat::Names) continue;
    auto row = look_at(root, id);
    if (row) rows.push_back(*std::move(row));
  }
  if (format == ListFormat::Names) return names;
  if (format == ListFormat::Table) return table(rows);
  Json json = Json::array();
  for (const Row& row : rows) json.push_back(document(row));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<std::vector<pid_t>> container_pids(const std::string& root, const std::string& id) {
  const Row row = TRY(look_at(root, id));
  if (row.status == Status::Stopped)
    return fail(Code::FailedPrecondition, fmt::format("container not running: {}", id));
  auto group = row.state.cgroup.empty() ? nullptr : TRY(isolate::find_cgroup_at(row.state.cgroup));
  return group ? group->pids() : Result<std::vector<pid_t>>(std::vector<pid_t>{row.state.pid});
}

Result<void> pause(const std::string& root, const std::string& id, bool paused) {
  ContainerDir dir = TRY(ContainerDir::open(root, id));
  TRY(dir.lock());
  const State state = TRY(State::load(dir));
  const Status status = TRY(status_of(dir, state));
  const bool fits =
      paused ? status == Status::Running || status == Status::Created : status == Status::Paused;
  if (fits) return TRY(group_of(state, paused ? "pause" : "resume"))->freeze(paused);
  if (!paused)
    return fail(Code::FailedPrecondition,
                fmt::format("cannot resume container {}: container not paused", id));
  return fail(Code::FailedPrecondition,
              fmt::format("cannot pause container {}: container not running or created: {}", id,
                          status_name(status)));
}

}  // namespace berth::oci

#include "node/instance_store.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <chrono>

#include "base/json_value.hpp"
#include "base/text.hpp"

namespace berth::node {
namespace {

constexpr std::string_view kTables = R"(
CREATE TABLE instances (
  id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL, config TEXT NOT NULL, created_ns INTEGER NOT NULL,
  boot_id TEXT, pid INTEGER, start_time INTEGER, monitor_pid INTEGER, started_ns INTEGER, finished_ns INTEGER,
  exit_code INTEGER, reason TEXT, oom INTEGER, restarts INTEGER NOT NULL DEFAULT 0,
  stop_requested INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE events (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, time_ns INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
  image TEXT NOT NULL, action TEXT NOT NULL, detail TEXT NOT NULL);
)";

constexpr std::string_view kSelect =
    "SELECT config, state, boot_id, pid, start_time, monitor_pid, started_ns, finished_ns, exit_code, "
    "reason, oom, "
    "restarts, stop_requested FROM instances ";

constexpr std::int64_t kEventsKept = 4096;
constexpr std::int64_t kTrimEvery = 256;

std::string_view action_of(State to) {
  switch (to) {
    case State::Created:
      return "create";
    case State::Running:
      return "unpause";
    case State::Paused:
      return "pause";
    case State::Restarting:
      return "restarting";
    case State::Exited:
      return "die";
    case State::Failed:
      return "fail";
    default:
      return "";
  }
}

std::string describe(const Ending& ending) {
  const std::string code = ending.exit_code ? std::to_string(*ending.exit_code) : "unknown";
  return fmt::format("exitCode={}{}{}", code, ending.oom_killed ? " oom=true" : "",
                     ending.reason.empty() ? "" : " reason=" + ending.reason);
}

}  // namespace

std::int64_t now_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

Result<std::string> current_boot_id() {
  return std::string(trim(TRY(sys::read_file("/proc/sys/kernel/random/boot_id"))));
}

Result<InstanceStore> InstanceStore::open(const Paths& paths) {
  return InstanceStore(TRY(db::Database::open(paths.database(), {"node", {kTables}})));
}

Result<void> InstanceStore::together(const std::function<Result<void>()>& changes) {
  return database_.transaction(changes);
}

Result<void> InstanceStore::insert(const isolate::UnitConfig& config) {
  auto statement = TRY(database_.prepare(
      "INSERT INTO instances (id, name, state, config, created_ns) VALUES (?, ?, 'creating', ?, ?)"));
  const auto inserted =
      statement.bind(config.id).bind(config.name).bind(config.to_json().dump()).bind(config.created_ns).run();
  if (!inserted && inserted.error().code == Code::AlreadyExists) {
    return fail(Code::AlreadyExists,
                fmt::format("the name {} is taken: remove that instance (berth rm {}) or choose "
                            "another --name",
                            config.name, config.name));
  }
  return inserted;
}

Result<Instance> InstanceStore::read(const db::Statement& row) {
  const Json json = TRY(parse_json(row.text(0), "instance"));
  Instance instance;
  instance.config = TRY(isolate::UnitConfig::from_json(JsonView(json, "instance")));
  instance.state = TRY(parse_state(row.text(1)));
  instance.boot_id = row.text(2);
  instance.pid = static_cast<pid_t>(row.integer(3));
  instance.start_time = static_cast<std::uint64_t>(row.integer(4));
  instance.monitor_pid = static_cast<pid_t>(row.integer(5));
  instance.started_ns = row.integer(6);
  instance.finished_ns = row.integer(7);
  if (const auto code = row.optional_integer(8)) instance.ending.exit_code = static_cast<int>(*code);
  instance.ending.reason = row.text(9);
  instance.ending.oom_killed = row.integer(10) != 0;
  instance.restarts = static_cast<unsigned>(row.integer(11));
  instance.stop_requested = row.integer(12) != 0;
  return instance;
}

Result<std::string> InstanceStore::find_id(std::string_view name_or_id) {
  auto exact = TRY(database_.prepare("SELECT id FROM instances WHERE name = ?1 OR id = ?1"));
  if (TRY(exact.bind(name_or_id).step())) return exact.text(0);
  const bool is_hex = name_or_id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  const Failure none =
      fail(Code::NotFound, fmt::format("no instance is called {}: berth ps -a lists them", name_or_id));
  if (!is_hex || name_or_id.empty()) return none;
  auto prefix = TRY(database_.prepare("SELECT id FROM instances WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 2"));
  if (!TRY(prefix.bind(name_or_id).step())) return none;
  std::string id = prefix.text(0);
  if (TRY(prefix.step())) {
    return fail(Code::InvalidArgument,
                fmt::format("{} begins the id of more than one instance: type more of it", name_or_id));
  }
  return id;
}

Result<Instance> InstanceStore::get(std::string_view name_or_id) {
  const std::string id = TRY(find_id(name_or_id));
  auto row = TRY(database_.prepare(fmt::format("{}WHERE id = ?", kSelect)));
  if (!TRY(row.bind(id).step()))
    return fail(Code::NotFound, fmt::format("instance {} has just been removed", name_or_id));
  return read(row);
}

Result<bool> InstanceStore::has(const std::string& id) {
  auto row = TRY(database_.prepare("SELECT 1 FROM instances WHERE id = ?"));
  return row.bind(id).step();
}

Result<std::vector<Instance>> InstanceStore::list() {
  std::vector<Instance> instances;
  auto rows = TRY(database_.prepare(fmt::format("{}ORDER BY created_ns DESC", kSelect)));
  while (TRY(rows.step())) instances.push_back(TRY(read(rows)));
  return instances;
}

Result<std::vector<std::string>> InstanceStore::owned_ids() {
  std::vector<std::string> ids;
  auto rows = TRY(database_.prepare(
      "SELECT id, state FROM instances WHERE state NOT IN ('created', 'exited', 'failed')"));
  while (TRY(rows.step())) {
    if (needs_owner(TRY(parse_state(rows.text(1))))) ids.push_back(rows.text(0));
  }
  return ids;
}

Result<void> InstanceStore::change(const std::string& id, State to, std::string_view action,
                                   std::string_view detail, const std::function<Result<void>()>& also) {
  return database_.transaction([&]() -> Result<void> {
    auto row = TRY(database_.prepare("SELECT state FROM instances WHERE id = ?"));
    if (!TRY(row.bind(id).step()))
      return fail(Code::NotFound, fmt::format("instance {} is gone", id.substr(0, 12)));
    const State from = TRY(parse_state(row.text(0)));
    if (!may_follow(from, to)) {
      return fail(Code::FailedPrecondition, fmt::format("instance {} is {}: it cannot become {}",
                                                        id.substr(0, 12), state_name(from), state_name(to)));
    }
    auto update = TRY(database_.prepare("UPDATE instances SET state = ? WHERE id = ?"));
    TRY(update.bind(state_name(to)).bind(id).run());
    TRY(also());
    return action.empty() ? Result<void>() : record(id, action, detail);
  });
}

Result<void> InstanceStore::set_state(const std::string& id, State to) {
  return change(id, to, action_of(to), "", [] { return Result<void>(); });
}

Result<void> InstanceStore::set_starting(const std::string& id, bool first) {
  return change(id, State::Starting, "", "", [&]() -> Result<void> {
    auto update = TRY(database_.prepare(first ? "UPDATE instances SET stop_requested = 0, restarts = 0, "
                                                "exit_code = NULL, reason = '', oom = 0 WHERE id = ?"
                                              : "UPDATE instances SET restarts = restarts + 1 WHERE id = ?"));
    return update.bind(id).run();
  });
}

Result<void> InstanceStore::set_running(const std::string& id, pid_t pid, std::uint64_t start_time) {
  const std::string boot_id = TRY(current_boot_id());
  return change(id, State::Running, "start", "", [&]() -> Result<void> {
    auto update =
        TRY(database_.prepare("UPDATE instances SET pid = ?, start_time = ?, boot_id = ?, monitor_pid = ?, "
                              "started_ns = ? WHERE id = ?"));
    update.bind(std::int64_t{pid}).bind(static_cast<std::int64_t>(start_time)).bind(boot_id);
    return update.bind(std::int64_t{::getpid()}).bind(now_ns()).bind(id).run();
  });
}

Result<void> InstanceStore::set_monitor(const std::string& id, pid_t monitor) {
  auto update = TRY(database_.prepare("UPDATE instances SET monitor_pid = ? WHERE id = ?"));
  return update.bind(std::int64_t{monitor}).bind(id).run();
}

Result<void> InstanceStore::set_ended(const std::string& id, State to, const Ending& ending) {
  return change(id, to, action_of(to), describe(ending), [&]() -> Result<void> {
    auto update =
        TRY(database_.prepare("UPDATE instances SET pid = 0, start_time = 0, exit_code = ?, reason = ?, oom "
                              "= ?, finished_ns = ? WHERE id = ?"));
    const auto code = ending.exit_code ? std::optional<std::int64_t>(*ending.exit_code) : std::nullopt;
    update.bind(code).bind(ending.reason).bind(std::int64_t{ending.oom_killed});
    return update.bind(now_ns()).bind(id).run();
  });
}

Result<void> InstanceStore::request_stop(const std::string& id) {
  auto update = TRY(database_.prepare("UPDATE instances SET stop_requested = 1 WHERE id = ?"));
  return update.bind(id).run();
}

Result<void> InstanceStore::replace_config(const isolate::UnitConfig& config, std::string_view action) {
  return database_.transaction([&]() -> Result<void> {
    auto update = TRY(database_.prepare("UPDATE instances SET name = ?, config = ? WHERE id = ?"));
    const auto done = update.bind(config.name).bind(config.to_json().dump()).bind(config.id).run();
    if (!done && done.error().code == Code::AlreadyExists) {
      return fail(Code::AlreadyExists, fmt::format("the name {} is taken", config.name));
    }
    TRY(Result<void>(done));
    return record(config.id, action, "");
  });
}

Result<void> InstanceStore::erase(const std::string& id) {
  return database_.transaction([&]() -> Result<void> {
    TRY(record(id, "remove", ""));
    auto row = TRY(database_.prepare("DELETE FROM instances WHERE id = ?"));
    return row.bind(id).run();
  });
}

Result<void> InstanceStore::record(const std::string& id, std::string_view action, std::string_view detail) {
  auto insert = TRY(database_.prepare(
      "INSERT INTO events (time_ns, id, name, image, action, detail) "
      "SELECT ?, id, name, coalesce(json_extract(config, '$.image'), ''), ?, ? FROM instances WHERE id = ?"));
  TRY(insert.bind(now_ns()).bind(action).bind(detail).bind(id).run());
  const std::int64_t newest = database_.last_insert_id();
  if (newest % kTrimEvery != 0) return {};
  auto trim_old = TRY(database_.prepare("DELETE FROM events WHERE sequence <= ?"));
  return trim_old.bind(newest - kEventsKept).run();
}

Result<std::vector<Event>> InstanceStore::events_after(std::int64_t sequence) {
  std::vector<Event> events;
  auto rows =
      TRY(database_.prepare("SELECT sequence, time_ns, id, name, image, action, detail FROM events WHERE "
                            "sequence > ? ORDER BY sequence"));
  rows.bind(sequence);
  while (TRY(rows.step())) {
    events.push_back({rows.integer(0), rows.integer(1), rows.text(2), rows.text(3), rows.text(4),
                      rows.text(5), rows.text(6)});
  }
  return events;
}

}  // namespace berth::node

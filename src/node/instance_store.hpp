// The instances of a node, in the state database. Every change of state is checked against the table of
// state.cpp and leaves an event, both in one transaction, so that what is read is never half of a change.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "db/database.hpp"
#include "node/instance.hpp"
#include "node/paths.hpp"

namespace berth::node {

struct Event {
  std::int64_t sequence = 0;
  std::int64_t time_ns = 0;  // since the epoch
  std::string id;
  std::string name;
  std::string image;
  std::string action;  // "create", "start", "die", ...
  std::string detail;  // "exitCode=0"
};

// One process's handle, used by one thread.
class InstanceStore {
 public:
  static Result<InstanceStore> open(const Paths& paths);

  // All that `changes` does to the database, here and in the image store, or nothing of it; and one write
  // instead of several.
  Result<void> together(const std::function<Result<void>()>& changes);

  // A new row in state Creating. AlreadyExists where the name is taken.
  Result<void> insert(const isolate::UnitConfig& config);
  // By name, id, or a prefix of an id that fits one instance only. NotFound, or InvalidArgument where it is
  // ambiguous.
  Result<Instance> get(std::string_view name_or_id);
  Result<bool> has(const std::string& id);  // a whole one
  Result<std::vector<Instance>> list();     // newest first
  // The ids of all instances in a state that needs an owner.
  Result<std::vector<std::string>> owned_ids();

  Result<void> set_state(const std::string& id, State to);
  Result<void> set_starting(const std::string& id,
                            bool first);  // `first`: started by a person, not by the policy
  Result<void> set_running(const std::string& id, pid_t pid, std::uint64_t start_time);
  Result<void> set_monitor(const std::string& id, pid_t monitor);
  // `to` is Exited, Failed or Restarting.
  Result<void> set_ended(const std::string& id, State to, const Ending& ending);
  Result<void> request_stop(const std::string& id);
  Result<void> replace_config(const isolate::UnitConfig& config, std::string_view action);  // rename, update
  Result<void> erase(const std::string& id);

  Result<void> record(const std::string& id, std::string_view action, std::string_view detail);
  // Events after `sequence`, oldest first. The newest few thousand are kept.
  Result<std::vector<Event>> events_after(std::int64_t sequence);

 private:
  explicit InstanceStore(db::Database database) : database_(std::move(database)) {}
  Result<void> change(const std::string& id, State to, std::string_view action, std::string_view detail,
                      const std::function<Result<void>()>& also);
  Result<Instance> read(const db::Statement& row);
  Result<std::string> find_id(std::string_view name_or_id);
  db::Database database_;
};

std::int64_t now_ns();  // since the epoch
Result<std::string> current_boot_id();

}  // namespace berth::node

// What is known of a container, kept as state.json in its directory and written as a whole at each step of
// its making, so that a command that is killed leaves what `state` and `delete --force` can go on from.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"
#include "oci/state/container_dir.hpp"

namespace berth::oci {

// runtime-spec, runtime.md, "State"; paused is runc's and crun's.
enum class Status { Creating, Created, Running, Paused, Stopped };
std::string_view status_name(Status status);

struct State {
  std::string oci_version;
  std::string id;
  pid_t pid = 0;                 // 0: no process yet
  std::uint64_t start_time = 0;  // tells a recycled number apart
  std::string bundle;            // absolute
  std::string root;              // absolute
  std::string created;           // RFC 3339
  std::uint64_t owner = 0;       // user, as the initial namespace numbers it
  std::string cgroup;            // relative to the base; "": none
  std::string unit;              // systemd's, that the group belongs to; "": none
  std::map<std::string, std::string> annotations;
  bool creating = true;     // `create` has not come to its end
  bool late_hooks = false;  // poststart or poststop hooks are in the configuration

  // state.json, and back.
  static Result<State> parse(const std::string& id, std::string_view text);
  std::string text() const;
  static Result<State> load(const ContainerDir& dir);
  Result<void> save(const ContainerDir& dir) const;
};

// Made by what is there: the process, the gate it waits at, the freezer.
Result<Status> status_of(const ContainerDir& dir, const State& state);
// Whether its first process still runs (a zombie does not).
bool is_alive(const State& state);

// The document that `state` prints and hooks read. The process's number is left to be filled in, as a hook in
// the container is told by a process that cannot make text: what stands before and behind it.
struct StateText {
  std::string before_pid;
  std::string after_pid;
  std::string with(pid_t pid) const;
};
StateText state_text(const State& state, Status status);

// The container's file names.
inline constexpr const char* kStateFile = "state.json";
inline constexpr const char* kConfigFile = "config.json";  // as it was at create; the bundle may go or change
inline constexpr const char* kGateLock = "gate";           // locked by the process that waits for start
inline constexpr const char* kGateSocket = "start";

}  // namespace berth::oci

// The one interface of the four units. Above it nobody asks which unit it is.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "isolate/config.hpp"
#include "sys/fd.hpp"

namespace berth::unit {

using isolate::UnitConfig;
using isolate::UnitKind;

using isolate::InstancePaths;
using isolate::Stdio;

// What launch() started. The caller is the parent: it waits for `pid`.
struct Launched {
  pid_t pid = -1;  // of the unit's first process, as the host numbers it
  sys::Fd pidfd;
  sys::Fd terminal;  // the pseudo-terminal's master where Stdio asked for one
};

// What it takes to run one more process in a running unit.
struct ExecConfig {
  std::vector<std::string> args;
  std::vector<std::string> env;  // added to the unit's own
  std::string cwd;               // "" is the unit's
  std::string user;              // "" is the unit's
  bool tty = false;
  bool privileged = false;
};

// A started unit as the state store remembers it; enough to find it again after a crash of ours.
struct Running {
  pid_t pid = -1;
  std::uint64_t start_time = 0;  // /proc/PID/stat field 22, tells a recycled number apart
};

class Unit {
 public:
  virtual ~Unit() = default;
  virtual UnitKind kind() const = 0;
  // Whether this berth has the unit at all; asks nothing of the machine, so it costs nothing.
  virtual Result<void> supported() const { return {}; }
  // The error that keeps this unit from running on this machine, with what to do about it. Tries, which takes
  // a while.
  virtual Result<void> probe() const = 0;
  // One line each: what separates it from the host, and what does not.
  virtual std::vector<std::string> isolates(const UnitConfig& config) const = 0;
  virtual std::vector<std::string> shares(const UnitConfig& config) const = 0;
  // What a unit gets where nothing is asked for; says why where that is less than its user may expect.
  virtual isolate::NetworkMode default_network() const { return isolate::NetworkMode::None; }
  // Refuses what this unit cannot honour, naming the option.
  virtual Result<void> check(const UnitConfig& config) const = 0;

  // Starts the unit's first process; returns when the workload's program has been exec'ed, or with what kept
  // it from that (NotFound: no such program, exit 127; PermissionDenied: cannot be
  // invoked, exit 126). On failure nothing is left behind. Single-threaded callers only.
  virtual Result<Launched> launch(const UnitConfig& config, const InstancePaths& paths,
                                  const Stdio& stdio) = 0;
  // Same, in the unit that `running` is.
  virtual Result<Launched> exec(const UnitConfig& config, const InstancePaths& paths, const Running& running,
                                const ExecConfig& exec, const Stdio& stdio) = 0;
  virtual Result<void> pause(const UnitConfig& config, bool paused) = 0;
  virtual Result<void> update(const UnitConfig& config, const sys::Resources& resources) = 0;
  virtual Result<sys::CgroupStats> stats(const UnitConfig& config) = 0;
  virtual Result<std::vector<pid_t>> pids(const UnitConfig& config, const Running& running) = 0;
  // Why the last run ended, where that was not by the workload's own program; "" otherwise.
  virtual std::string end_reason(const InstancePaths& /*paths*/) const { return {}; }
  // Kills what is left of the unit and frees what the kernel does not free by itself (cgroups). Idempotent;
  // also for one whose starter crashed half-way.
  virtual Result<void> cleanup(const UnitConfig& config) = 0;
};

// The unit of that kind. Machine answers probe() with why not yet.
Unit& unit_of(UnitKind kind);
const std::vector<Unit*>& all_units();

}  // namespace berth::unit

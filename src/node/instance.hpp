// What is known of one instance.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "isolate/config.hpp"
#include "node/state.hpp"

namespace berth::node {

// How a run ended. Without an exit code nobody saw it end.
struct Ending {
  std::optional<int> exit_code;
  std::string reason;       // "" for an ordinary exit
  bool oom_killed = false;  // the memory limit took at least one of its processes
};

struct Instance {
  isolate::UnitConfig config;
  State state = State::Creating;
  pid_t pid = 0;                 // of the unit's first process, while active
  std::uint64_t start_time = 0;  // that process's, see unit::Running
  std::string boot_id;           // of the boot that `pid` belongs to
  pid_t monitor_pid = 0;
  std::int64_t started_ns = 0;  // since the epoch; 0: never
  std::int64_t finished_ns = 0;
  Ending ending;
  unsigned restarts = 0;
  bool stop_requested = false;  // a person stopped it: restart policies rest
};

}  // namespace berth::node

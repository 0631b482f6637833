// The small process that stays beside one instance: starts it, keeps its output and its exit status, restarts
// it.
#pragma once

#include <optional>
#include <string>

#include "node/paths.hpp"
#include "sys/fd.hpp"

namespace berth::node {

// How a monitor is started; see spawn_monitor().
struct MonitorTask {
  Paths paths;
  std::string id;
  sys::Fd lock;            // the instance's; held for life
  sys::Fd starter;         // a message socket to whoever waits for the start
  bool attach = false;     // the starter stays connected as a client that takes all output
  bool take_over = false;  // the unit runs already, its monitor has died
};

// The whole life of a monitor; gives its exit code. What it does is told by the database and to its clients.
int run_monitor(MonitorTask task);

}  // namespace berth::node

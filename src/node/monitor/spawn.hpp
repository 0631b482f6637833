// Starting a monitor, and waiting for what becomes of the start.
#pragma once

#include <string>
#include <vector>

#include "node/monitor/monitor.hpp"

namespace berth::node {

enum class MonitorMode { Start, StartAttached, TakeOver };

// The monitor as the one who started it sees it.
struct MonitorLink {
  pid_t monitor = -1;
  sys::Fd socket;
  pid_t unit = -1;  // the unit's first process
};

// Starts a monitor for the instance, gives it `lock`, and waits until the unit runs. The error is that of the
// launch. With StartAttached the socket goes on as an attached client's.
Result<MonitorLink> spawn_monitor(const Paths& paths, const std::string& id, sys::Fd lock, MonitorMode mode);

// The other side of it.
Result<MonitorTask> parse_monitor_arguments(const std::vector<std::string>& args);

}  // namespace berth::node

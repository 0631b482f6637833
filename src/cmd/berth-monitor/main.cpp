// berth-monitor: started by berth for each instance that runs; see node/monitor. Not for people.
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "base/log.hpp"
#include "node/monitor/monitor.hpp"
#include "node/monitor/spawn.hpp"

int main(int argc, char** argv) {
  auto task = berth::node::parse_monitor_arguments({argv + 1, argv + argc});
  if (!task) {
    std::fputs("berth-monitor: started by berth itself, of no use by hand\n", stderr);
    return 125;
  }
  berth::log::configure("berth-monitor", berth::log::Level::Warn);
  return berth::node::run_monitor(*std::move(task));
}

// berth-monitor: started by berth for each instance that runs; see node/monitor. Not for people.
#include <unistd.h>

#include <cstdio>
#include <string_view>

#include "base/log.hpp"
#include "node/monitor/monitor.hpp"
#include "node/monitor/spawn.hpp"
#include "sys/memory.hpp"
#include "sys/own_program.hpp"

namespace {

constexpr std::size_t kHeapBytes = 256 << 10;  // of a start, measured

// Before the constructors of all that is linked in, which touch a good part of it.
[[gnu::constructor(101)]] void prepare() { berth::sys::map_own_program(); }

}  // namespace

int main(int argc, char** argv) {
  berth::sys::prepare_heap(kHeapBytes);
  if (const auto hidden = berth::sys::run_out_of_reach({argv, argv + argc + 1}); !hidden) {
    std::fputs(hidden.error().message.c_str(), stderr);
    return 125;
  }
  auto task = berth::node::parse_monitor_arguments({argv + 1, argv + argc});
  if (!task) {
    std::fputs("berth-monitor: started by berth itself, of no use by hand\n", stderr);
    return 125;
  }
  berth::log::configure("berth-monitor", berth::log::Level::Warn);
  return berth::node::run_monitor(*std::move(task));
}

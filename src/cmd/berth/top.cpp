// berth top and berth stats.
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>
#include <thread>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "cmd/berth/declare.hpp"
#include "node/control.hpp"
#include "node/processes.hpp"
#include "sys/tty.hpp"
#include "term/listing.hpp"
#include "unit/unit.hpp"

namespace berth::cmd {
namespace {

using Clock = std::chrono::steady_clock;

Result<int> top(const std::string& name, const Invocation& invocation) {
  node::Node node = TRY(node::Node::open(invocation.globals.root));
  const node::Instance instance = TRY(node.store.get(name));
  if (!node::is_active(instance.state)) return fail(Code::FailedPrecondition, name + " is not running");
  const auto pids =
      TRY(unit::unit_of(instance.config.unit).pids(instance.config, {instance.pid, instance.start_time}));
  term::Listing listing({{"PID", "PID"},
                         {"PPID", "PPID"},
                         {"UID", "UID"},
                         {"State", "S"},
                         {"Memory", "RSS"},
                         {"Time", "TIME"},
                         {"Command", "COMMAND"}});
  for (const pid_t pid : pids) {
    const auto process = node::read_process(pid);
    if (!process) continue;  // ended meanwhile
    listing.add({{Json(pid), std::to_string(pid)},
                 {Json(process->parent), std::to_string(process->parent)},
                 {Json(process->uid), std::to_string(process->uid)},
                 std::string(1, process->state),
                 {Json(process->memory_bytes), format_size(process->memory_bytes)},
                 {Json(process->cpu_seconds), fmt::format("{:.2f}", process->cpu_seconds)},
                 process->command});
  }
  std::fputs(TRY(listing.render(invocation.globals.format)).c_str(), stdout);
  return 0;
}

struct StatsCommand {
  std::vector<std::string> names;
  bool once = false;
  bool all = false;
};

// The figures of one moment, and the moment.
struct Sample {
  std::uint64_t cpu_usage_us = 0;
  Clock::time_point when;
};

std::string percent(double part, double whole) {
  return whole > 0 ? fmt::format("{:.2f}%", 100 * part / whole) : "-";
}

class StatsTable {
 public:
  // The processor's share is that since the last call.
  Result<std::string> render(node::Node& node, const StatsCommand& command, const std::string& format);

 private:
  void add_row(term::Listing& listing, const node::Instance& instance, const sys::CgroupStats& stats);
  std::map<std::string, Sample> before_;
};

void StatsTable::add_row(term::Listing& listing, const node::Instance& instance,
                         const sys::CgroupStats& stats) {
  Sample& before = before_[instance.config.id];
  const Sample now{stats.cpu_usage_us, Clock::now()};
  const std::chrono::duration<double, std::micro> passed = now.when - before.when;
  const bool first = before.when == Clock::time_point();
  const double used = first ? 0.0 : static_cast<double>(now.cpu_usage_us - before.cpu_usage_us);
  before = now;
  const double limit = static_cast<double>(stats.memory_limit_bytes.value_or(0));
  const std::string limit_text =
      stats.memory_limit_bytes ? format_size(*stats.memory_limit_bytes) : "unlimited";
  listing.add(
      {{instance.config.id, instance.config.id.substr(0, 12)},
       instance.config.name,
       {Json(first ? 0.0 : 100 * used / passed.count()), percent(used, first ? 1 : passed.count())},
       {Json(stats.memory_bytes), fmt::format("{} / {}", format_size(stats.memory_bytes), limit_text)},
       {Json(stats.memory_limit_bytes.value_or(0)), percent(static_cast<double>(stats.memory_bytes), limit)},
       {Json(stats.memory_peak_bytes), format_size(stats.memory_peak_bytes)},
       {Json(stats.io_read_bytes + stats.io_write_bytes),
        fmt::format("{} / {}", format_size(stats.io_read_bytes), format_size(stats.io_write_bytes))},
       {Json(stats.pids), std::to_string(stats.pids)},
       {Json(stats.oom_kills), std::to_string(stats.oom_kills)}});
}

Result<std::string> StatsTable::render(node::Node& node, const StatsCommand& command,
                                       const std::string& format) {
  term::Listing listing({{"ID", "ID"},
                         {"Name", "NAME"},
                         {"CPU", "CPU"},
                         {"Memory", "MEMORY / LIMIT"},
                         {"MemoryLimit", "MEM"},
                         {"MemoryPeak", "PEAK"},
                         {"IO", "READ / WRITTEN"},
                         {"PIDs", "PIDS"},
                         {"OOMKills", "OOM"}});
  std::vector<node::Instance> instances;
  for (const std::string& name : command.names) instances.push_back(TRY(node.store.get(name)));
  if (command.names.empty()) instances = TRY(node.store.list());
  for (const node::Instance& instance : instances) {
    const bool active = instance.state == node::State::Running || instance.state == node::State::Paused;
    if (!active && !command.all && command.names.empty()) continue;
    sys::CgroupStats stats;
    if (active) {
      const auto read = unit::unit_of(instance.config.unit).stats(instance.config);
      if (!read && read.error().code == Code::NotFound) continue;  // ended meanwhile
      stats = TRY(Result<sys::CgroupStats>(read));
    }
    add_row(listing, instance, stats);
  }
  return listing.render(format);
}

Result<int> stats(const StatsCommand& command, const Invocation& invocation) {
  constexpr auto kInterval = std::chrono::milliseconds(1000);
  constexpr auto kFirstInterval = std::chrono::milliseconds(250);
  constexpr const char* kClearScreen = "\x1b[H\x1b[2J";
  node::Node node = TRY(node::Node::open(invocation.globals.root));
  StatsTable table;
  TRY(table.render(node, command, ""));  // what the first shares are measured from
  std::this_thread::sleep_for(kFirstInterval);
  for (;;) {
    const std::string text = TRY(table.render(node, command, invocation.globals.format));
    if (!command.once && sys::is_terminal(STDOUT_FILENO)) std::fputs(kClearScreen, stdout);
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
    if (command.once) return 0;
    std::this_thread::sleep_for(kInterval);
  }
}

}  // namespace

Action declare_top(CLI::App& app, const Invocation& invocation) {
  auto name = std::make_shared<std::string>();
  app.add_option("INSTANCE", *name, "Name, id or beginning of an id")->required();
  return [name, &invocation] { return top(*name, invocation); };
}

Action declare_stats(CLI::App& app, const Invocation& invocation) {
  auto command = std::make_shared<StatsCommand>();
  app.add_option("INSTANCE", command->names,
                 "Names, ids or beginnings of ids (default: all that are active)");
  app.add_flag("--no-stream", command->once, "Print once and exit");
  app.add_flag("-a,--all", command->all, "Also those that are not active");
  return [command, &invocation] { return stats(*command, invocation); };
}

}  // namespace berth::cmd

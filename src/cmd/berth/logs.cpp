// berth logs.
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include "base/text.hpp"
#include "cmd/berth/declare.hpp"
#include "node/control.hpp"
#include "node/follow_log.hpp"
#include "node/when.hpp"

namespace berth::cmd {
namespace {

struct LogsCommand {
  std::string name;
  bool follow = false;
  bool timestamps = false;
  std::string tail = "all";
  std::string since;
  std::string until;
};

Result<node::LogQuery> query_of(const LogsCommand& command) {
  node::LogQuery query;
  if (command.tail != "all") {
    const auto lines = parse_u64(command.tail);
    if (!lines)
      return fail(Code::InvalidArgument,
                  fmt::format("--tail {}: expected a number of lines, or all", command.tail));
    query.tail = *lines;
  }
  if (!command.since.empty())
    query.since = format_rfc3339(TRY_DURING("--since", node::parse_when(command.since)));
  if (!command.until.empty())
    query.until = format_rfc3339(TRY_DURING("--until", node::parse_when(command.until)));
  return query;
}

Result<int> logs(const LogsCommand& command, const Invocation& invocation) {
  const node::LogQuery query = TRY(query_of(command));
  node::Node node = TRY(node::Node::open(invocation.globals.root));
  const std::string id = TRY(node.store.get(command.name)).config.id;
  std::array<bool, 2> amid_line{};
  const auto print = [&](const node::LogEntry& entry) -> Result<void> {
    bool& amid = amid_line[static_cast<std::size_t>(entry.stream)];
    std::string text;
    if (command.timestamps && !amid) text = fmt::format("{} ", entry.timestamp);
    text.append(entry.content).append(entry.partial ? "" : "\n");
    amid = entry.partial;
    return sys::write_all(entry.stream == node::Stream::Stdout ? STDOUT_FILENO : STDERR_FILENO, text);
  };
  TRY(command.follow ? node::follow_log(node, id, query, print) : node::print_log(node, id, query, print));
  return 0;
}

}  // namespace

Action declare_logs(CLI::App& app, const Invocation& invocation) {
  auto command = std::make_shared<LogsCommand>();
  app.add_option("INSTANCE", command->name, "Name, id or beginning of an id")->required();
  app.add_flag("-f,--follow", command->follow, "Go on until it ends");
  app.add_flag("-t,--timestamps", command->timestamps, "Show when each line was written");
  app.add_option("-n,--tail", command->tail, "Only the last N lines")->type_name("N|all");
  app.add_option("--since", command->since, "A time (2026-01-02T03:04:05Z) or how long ago (10m)")
      ->type_name("WHEN");
  app.add_option("--until", command->until, "A time or how long ago")->type_name("WHEN");
  return [command, &invocation] { return logs(*command, invocation); };
}

}  // namespace berth::cmd

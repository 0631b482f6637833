// berth events.
#include <fmt/core.h>
#include <poll.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "cmd/berth/declare.hpp"
#include "node/control.hpp"
#include "node/when.hpp"
#include "sys/watch.hpp"
#include "term/listing.hpp"

namespace berth::cmd {
namespace {

struct EventsCommand {
  std::string since;
  std::string until;
  std::vector<std::string> filters;
};

struct Range {
  std::int64_t from_ns = 0;
  std::int64_t to_ns = INT64_MAX;
};

Result<std::int64_t> when_ns(const std::string& text) {
  const auto when = TRY(node::parse_when(text)).time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(when).count();
}

// Without --since only what happens from now on; without --until for ever.
Result<Range> range_of(const EventsCommand& command) {
  Range range{.from_ns = node::now_ns()};
  if (!command.since.empty()) range.from_ns = TRY_DURING("--since", when_ns(command.since));
  if (!command.until.empty()) {
    range.to_ns = TRY_DURING("--until", when_ns(command.until));
    if (command.since.empty()) range.from_ns = 0;
  }
  return range;
}

Result<bool> passes(const node::Event& event, const std::string& filter) {
  const auto equals = std::min(filter.find('='), filter.size());
  const std::string key = filter.substr(0, equals);
  const std::string value = filter.substr(std::min(equals + 1, filter.size()));
  if (key == "event") return event.action == value;
  if (key == "instance" || key == "container") return event.name == value || event.id.starts_with(value);
  if (key == "image") return event.image.find(value) != std::string::npos;
  return fail(Code::InvalidArgument, fmt::format("--filter {}: use event=, instance= or image=", filter));
}

Json json_of(const node::Event& event, const std::string& time) {
  return Json{{"Time", time},          {"TimeNano", event.time_ns}, {"ID", event.id},
              {"Name", event.name},    {"Image", event.image},      {"Action", event.action},
              {"Detail", event.detail}};
}

Result<void> print(const node::Event& event, const std::string& format) {
  const std::chrono::system_clock::time_point when{std::chrono::nanoseconds(event.time_ns)};
  const std::string time = format_rfc3339(when);
  std::string line;
  if (format == "json") {
    line = json_of(event, time).dump(-1, ' ', false, Json::error_handler_t::replace);
  } else if (!format.empty() && format != "table") {
    line = TRY(term::render_document(json_of(event, time), format));
  } else {
    line = fmt::format("{} {} {} ({}{}{}{}{})", time, event.action, event.id.substr(0, 12),
                       "name=", event.name, event.image.empty() ? "" : ", image=" + event.image,
                       event.detail.empty() ? "" : ", ", term::printable(event.detail));
  }
  if (line.empty() || line.back() != '\n') line += '\n';
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
  return {};
}

Result<int> events(const EventsCommand& command, const Invocation& invocation) {
  const Range range = TRY(range_of(command));
  node::Node node = TRY(node::Node::open(invocation.globals.root));
  sys::DirWatch watch =
      TRY(sys::DirWatch::open(node.paths.root));  // every event is written to the database there
  std::int64_t last = 0;
  for (;;) {
    for (const node::Event& event : TRY(node.store.events_after(last))) {
      last = event.sequence;
      bool wanted = event.time_ns >= range.from_ns && event.time_ns <= range.to_ns;
      for (const std::string& filter : command.filters) wanted = wanted && TRY(passes(event, filter));
      if (wanted) TRY(print(event, invocation.globals.format));
    }
    const std::int64_t left_ns = range.to_ns - node::now_ns();
    if (left_ns <= 0) return 0;
    pollfd fd{watch.fd(), POLLIN, 0};
    ::poll(&fd, 1, static_cast<int>(std::min<std::int64_t>(left_ns / 1'000'000 + 1, 3'600'000)));
    watch.clear();
  }
}

}  // namespace

Action declare_events(CLI::App& app, const Invocation& invocation) {
  auto command = std::make_shared<EventsCommand>();
  app.add_option("--since", command->since, "A time (2026-01-02T03:04:05Z) or how long ago (10m)")
      ->type_name("WHEN");
  app.add_option("--until", command->until, "A time or how long ago; then it ends")->type_name("WHEN");
  app.add_option("-f,--filter", command->filters, "event=, instance= or image=")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  return [command, &invocation] { return events(*command, invocation); };
}

}  // namespace berth::cmd

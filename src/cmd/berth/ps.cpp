// berth ps.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "cmd/berth/declare.hpp"
#include "node/control.hpp"
#include "node/describe.hpp"
#include "term/listing.hpp"

namespace berth::cmd {
namespace {

struct PsCommand {
  bool all = false;
  bool quiet = false;
  bool full = false;
  std::size_t last = 0;
  std::vector<std::string> filters;
};

Result<bool> passes(const node::Instance& instance, const std::string& filter) {
  const auto equals = filter.find('=');
  const std::string key = filter.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : filter.substr(equals + 1);
  const auto& config = instance.config;
  if (key == "name") return config.name.find(value) != std::string::npos;
  if (key == "id") return config.id.starts_with(value);
  if (key == "status") return node::state_name(instance.state) == value;
  if (key == "unit") return isolate::unit_name(config.unit) == value;
  if (key == "ancestor") return config.image.find(value) != std::string::npos;
  if (key == "exited")
    return instance.ending.exit_code && std::to_string(*instance.ending.exit_code) == value;
  if (key == "label") {
    const auto split_at = value.find('=');
    const auto found = config.labels.find(value.substr(0, split_at));
    return found != config.labels.end() &&
           (split_at == std::string::npos || found->second == value.substr(split_at + 1));
  }
  return fail(
      Code::InvalidArgument,
      fmt::format("--filter {}: use name, id, status, unit, ancestor, exited or label, as in status=running",
                  filter));
}

Result<bool> is_shown(const PsCommand& command, const node::Instance& instance) {
  const auto names_status = [](const std::string& filter) {
    return filter.starts_with("status=") || filter.starts_with("exited=");
  };
  const bool any_state = command.all || command.last > 0 ||
                         std::any_of(command.filters.begin(), command.filters.end(), names_status);
  if (!any_state && !node::is_active(instance.state)) return false;
  for (const std::string& filter : command.filters) {
    if (!TRY(passes(instance, filter))) return false;
  }
  return true;
}

void add_row(term::Listing& listing, const node::Instance& instance, bool full) {
  constexpr std::size_t kShortCommand = 24;
  const auto& config = instance.config;
  std::string command = join(config.args, " ");
  if (!full && command.size() > kShortCommand) command = command.substr(0, kShortCommand - 3) + "...";
  const std::string id = full ? config.id : config.id.substr(0, 12);
  listing.add({{config.id, id},
               config.image.empty() ? "-" : config.image,
               {Json(config.args), command},
               std::string(isolate::unit_name(config.unit)),
               {Json(config.created_ns), node::ago(config.created_ns)},
               node::status_text(instance),
               std::string(node::state_name(instance.state)),
               config.name});
}

Result<int> list(const PsCommand& command, const Invocation& invocation) {
  node::Node node = TRY(node::Node::open(invocation.globals.root));
  term::Listing listing({{"ID", "ID"},
                         {"Image", "IMAGE"},
                         {"Command", "COMMAND"},
                         {"Unit", "UNIT"},
                         {"Created", "CREATED"},
                         {"Status", "STATUS"},
                         {"State", ""},
                         {"Name", "NAME"}});
  std::string ids;
  std::size_t shown = 0;
  for (const node::Instance& instance : TRY(node.store.list())) {
    if (!TRY(is_shown(command, instance)) || (command.last > 0 && shown == command.last)) continue;
    ++shown;
    ids += (command.full ? instance.config.id : instance.config.id.substr(0, 12)) + "\n";
    add_row(listing, instance, command.full);
  }
  const std::string text = command.quiet ? ids : TRY(listing.render(invocation.globals.format));
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace

Action declare_ps(CLI::App& app, const Invocation& invocation) {
  auto command = std::make_shared<PsCommand>();
  app.add_flag("-a,--all", command->all, "Also those that are not active");
  app.add_flag("-q,--quiet", command->quiet, "Ids only");
  app.add_flag("--no-trunc", command->full, "Whole ids and commands");
  app.add_option("-n,--last", command->last, "The newest N, in any state")->type_name("N");
  app.add_option("-f,--filter", command->filters, "name=, id=, status=, unit=, ancestor=, exited= or label=")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  return [command, &invocation] { return list(*command, invocation); };
}

}  // namespace berth::cmd

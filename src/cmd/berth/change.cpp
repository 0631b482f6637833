// berth rename and berth update.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cmd/berth/declare.hpp"
#include "cmd/berth/run_flags.hpp"
#include "node/control.hpp"
#include "node/names.hpp"

namespace berth::cmd {

Action declare_rename(CLI::App& app, const Invocation& invocation) {
  auto names = std::make_shared<std::pair<std::string, std::string>>();
  app.add_option("INSTANCE", names->first, "The instance")->required();
  app.add_option("NAME", names->second, "Its new name")->required();
  return [names, &invocation]() -> Result<int> {
    TRY(node::check_name(names->second));
    node::Node node = TRY(node::Node::open(invocation.globals.root));
    auto config = TRY(node.store.get(names->first)).config;
    config.name = names->second;
    TRY(node.store.replace_config(config, "rename"));
    return 0;
  };
}

Action declare_update(CLI::App& app, const Invocation& invocation) {
  struct UpdateCommand {
    node::RunOptions options;
    std::vector<std::string> names;
  };
  auto command = std::make_shared<UpdateCommand>();
  add_resource_flags(app, command->options);
  app.add_option("INSTANCE", command->names, "Names, ids or beginnings of ids")->required();
  return [command, &invocation]() -> Result<int> {
    const auto resources = TRY(node::make_resources(command->options));
    std::optional<isolate::RestartPolicy> restart;
    if (!command->options.restart.empty()) restart = TRY(node::parse_restart(command->options.restart));
    node::Node node = TRY(node::Node::open(invocation.globals.root));
    return for_each_name("update", command->names, [&](const std::string& name) -> Result<void> {
      TRY(node::update(node, TRY(node.store.get(name)), resources, restart));
      std::fputs((name + "\n").c_str(), stdout);
      return {};
    });
  };
}

}  // namespace berth::cmd

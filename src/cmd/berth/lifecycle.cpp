// Commands that take a list of instances and move each to another state.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/text.hpp"
#include "cmd/berth/declare.hpp"
#include "node/detach_keys.hpp"
#include "node/exit_code.hpp"
#include "node/foreground.hpp"
#include "sys/signals.hpp"

namespace berth::cmd {
namespace {

struct Names {
  std::vector<std::string> names;
  bool all = false;
};

void add_names(CLI::App& app, Names& names, bool with_all) {
  app.add_option("INSTANCE", names.names, "Names, ids or beginnings of ids");
  if (with_all) app.add_flag("-a,--all", names.all, "All instances that are active");
}

Result<std::vector<std::string>> chosen(node::Node& node, const Names& names) {
  if (!names.names.empty()) return names.names;
  if (!names.all) return fail(Code::InvalidArgument, "no instance is named: berth ps lists them");
  std::vector<std::string> ids;
  for (const node::Instance& instance : TRY(node.store.list())) {
    if (node::is_active(instance.state)) ids.push_back(instance.config.id);
  }
  return ids;
}

using Body = std::function<Result<void>(node::Node&, const node::Instance&)>;

// Does `body` to each and prints the name as it was typed.
Result<int> each(std::string_view command, const Invocation& invocation, const Names& names,
                 const Body& body) {
  node::Node node = TRY(node::Node::open(invocation.globals.root));
  return for_each_name(command, TRY(chosen(node, names)), [&](const std::string& name) -> Result<void> {
    TRY(body(node, TRY(node.store.get(name))));
    std::fputs((name + "\n").c_str(), stdout);
    return {};
  });
}

struct StopCommand {
  Names names;
  std::string timeout;
};

Result<std::chrono::milliseconds> timeout_of(const StopCommand& command, const node::Instance& instance) {
  if (command.timeout.empty()) return instance.config.stop_timeout;
  return TRY_DURING("--time", parse_duration(command.timeout));
}

std::shared_ptr<StopCommand> declare_stopping(CLI::App& app) {
  auto command = std::make_shared<StopCommand>();
  add_names(app, command->names, true);
  app.add_option("-t,--time,--timeout", command->timeout,
                 "How long to wait before killing (default: the instance's)")
      ->type_name("DURATION");
  return command;
}

struct StartCommand {
  Names names;
  bool attach = false;
  bool input = false;
};

Result<int> start_attached(const StartCommand& command, const Invocation& invocation) {
  if (command.names.names.size() != 1)
    return fail(Code::InvalidArgument, "--attach takes exactly one instance");
  node::Node node = TRY(node::Node::open(invocation.globals.root));
  const node::Instance instance = TRY(node.store.get(command.names.names.front()));
  auto link = node::start(node, instance, node::MonitorMode::StartAttached);
  if (!link) return report("start", link.error(), node::exit_code_for(link.error()));
  const node::AttachOptions options{
      .input = command.input && instance.config.stdin_open, .tty = instance.config.tty, .lossless = true};
  const auto result = TRY(node::stay_attached(node, instance.config.id, std::move(link->socket), options));
  return result.end == node::AttachEnd::Detached ? 0 : result.exit_code.value_or(node::kExitFailed);
}

Result<int> wait_for(const Names& names, const Invocation& invocation) {
  node::Node node = TRY(node::Node::open(invocation.globals.root));
  return for_each_name("wait", TRY(chosen(node, names)), [&](const std::string& name) -> Result<void> {
    const std::string id = TRY(node.store.get(name)).config.id;
    const auto code = TRY(node::wait_for_end(node, id, std::nullopt));
    std::fputs((code ? std::to_string(*code) + "\n" : "unknown\n").c_str(), stdout);
    return {};
  });
}

}  // namespace

Action declare_start(CLI::App& app, const Invocation& invocation) {
  auto command = std::make_shared<StartCommand>();
  add_names(app, command->names, false);
  app.add_flag("-a,--attach", command->attach, "Stay with it and pass its output on");
  app.add_flag("-i,--interactive", command->input, "Pass standard input on (of instances created with -i)");
  return [command, &invocation]() -> Result<int> {
    if (command->attach || command->input) return start_attached(*command, invocation);
    return each("start", invocation, command->names,
                [](node::Node& node, const node::Instance& instance) -> Result<void> {
                  TRY(node::start(node, instance, node::MonitorMode::Start));
                  return {};
                });
  };
}

Action declare_stop(CLI::App& app, const Invocation& invocation) {
  auto command = declare_stopping(app);
  return [command, &invocation] {
    return each("stop", invocation, command->names,
                [&](node::Node& node, const node::Instance& instance) -> Result<void> {
                  return node::stop(node, instance, TRY(timeout_of(*command, instance)));
                });
  };
}

Action declare_restart(CLI::App& app, const Invocation& invocation) {
  auto command = declare_stopping(app);
  return [command, &invocation] {
    return each("restart", invocation, command->names,
                [&](node::Node& node, const node::Instance& instance) -> Result<void> {
                  TRY(node::stop(node, instance, TRY(timeout_of(*command, instance))));
                  TRY(node::start(node, TRY(node.store.get(instance.config.id)), node::MonitorMode::Start));
                  return {};
                });
  };
}

Action declare_kill(CLI::App& app, const Invocation& invocation) {
  struct KillCommand {
    Names names;
    std::string signal = "KILL";
  };
  auto command = std::make_shared<KillCommand>();
  add_names(app, command->names, true);
  app.add_option("-s,--signal", command->signal, "Signal to send (default KILL)")->type_name("SIGNAL");
  return [command, &invocation]() -> Result<int> {
    const int signal = TRY_DURING("--signal", sys::parse_signal(command->signal));
    return each("kill", invocation, command->names, [&](node::Node& node, const node::Instance& instance) {
      return node::send_signal(node, instance, signal);
    });
  };
}

Action declare_pause(CLI::App& app, const Invocation& invocation) {
  auto names = std::make_shared<Names>();
  add_names(app, *names, true);
  return [names, &invocation] {
    return each("pause", invocation, *names, [](node::Node& node, const node::Instance& instance) {
      return node::set_paused(node, instance, true);
    });
  };
}

Action declare_unpause(CLI::App& app, const Invocation& invocation) {
  auto names = std::make_shared<Names>();
  add_names(app, *names, true);
  return [names, &invocation] {
    return each("unpause", invocation, *names, [](node::Node& node, const node::Instance& instance) {
      return node::set_paused(node, instance, false);
    });
  };
}

Action declare_wait(CLI::App& app, const Invocation& invocation) {
  auto names = std::make_shared<Names>();
  add_names(app, *names, false);
  return [names, &invocation] { return wait_for(*names, invocation); };
}

Action declare_rm(CLI::App& app, const Invocation& invocation) {
  struct RmCommand {
    Names names;
    bool force = false;
  };
  auto command = std::make_shared<RmCommand>();
  add_names(app, command->names, false);
  app.add_flag("-a,--all", command->names.all, "All instances");
  app.add_flag("-f,--force", command->force,
               "Kill it first where it runs; do not complain where it does not exist");
  return [command, &invocation]() -> Result<int> {
    node::Node node = TRY(node::Node::open(invocation.globals.root));
    std::vector<std::string> names = command->names.names;
    if (command->names.all) {
      for (const auto& instance : TRY(node.store.list())) names.push_back(instance.config.name);
    } else if (names.empty()) {
      return fail(Code::InvalidArgument, "no instance is named: berth ps -a lists them");
    }
    return for_each_name("rm", names, [&](const std::string& name) -> Result<void> {
      auto instance = node.store.get(name);
      if (!instance && command->force && instance.error().code == Code::NotFound) return {};
      TRY(node::remove(node, TRY(std::move(instance)), command->force));
      std::fputs((name + "\n").c_str(), stdout);
      return {};
    });
  };
}

}  // namespace berth::cmd

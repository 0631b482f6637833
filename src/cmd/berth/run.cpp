// berth run and berth create.
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cmd/berth/declare.hpp"
#include "cmd/berth/run_flags.hpp"
#include "node/create.hpp"
#include "node/detach_keys.hpp"
#include "node/exit_code.hpp"
#include "node/foreground.hpp"
#include "node/remove.hpp"
#include "sys/process.hpp"
#include "sys/spawn.hpp"
#include "sys/tty.hpp"

namespace berth::cmd {
namespace {

struct RunCommand {
  node::RunOptions options;
  bool detach = false;
  bool signals = true;
  std::string detach_keys = "ctrl-p,ctrl-q";
  std::string pull = "missing";
  std::string cidfile;
};

void add_create_flags(CLI::App& app, RunCommand& command) {
  add_run_flags(app, command.options);
  app.add_option("--pull", command.pull, "Fetch the image: missing, always or never")->type_name("WHEN");
  app.add_option("--cidfile", command.cidfile, "Write the instance's id to a new file")->type_name("FILE");
  app.footer(
      "berth run [OPTIONS] IMAGE [COMMAND [ARG...]]\n"
      "berth run --unit process [OPTIONS] -- COMMAND [ARG...]     a host command, without an image");
}

// IMAGE [COMMAND...], or a host command: "--" in the place of the image.
Result<void> take_operands(RunCommand& command, const Invocation& invocation) {
  command.options.command = invocation.operands;
  if (command.options.command.empty())
    return fail(Code::InvalidArgument, "an image is missing: berth run IMAGE [COMMAND]");
  if (invocation.after_dashes && command.options.unit == "process") return {};
  command.options.image = command.options.command.front();
  command.options.command.erase(command.options.command.begin());
  if (command.options.image.empty()) return fail(Code::InvalidArgument, "the image's name is empty");
  return {};
}

Result<void> fetch_image(const Globals& globals, const std::string& image) {
  std::vector<std::string> args = {"berth-image"};
  if (!globals.root.empty()) args.insert(args.end(), {"--root", globals.root});
  args.insert(args.end(), {"--log-level", globals.log_level, "pull", "--quiet", image});
  const sys::Fd null = TRY(sys::open("/dev/null", O_RDWR));
  const pid_t pid = TRY(sys::spawn(TRY(sys::sibling_program("berth-image")), args,
                                   {.fds = {{null.get(), 0}, {null.get(), 1}}, .new_session = false}));
  const auto status = TRY(sys::reap(pid, true));
  if (status && *status == 0) return {};
  return fail(Code::Unavailable, fmt::format("{}: not in the store and could not be pulled", image));
}

Result<bool> lacks_image(const node::Paths& paths, const std::string& image) {
  if (image.empty()) return false;
  return !TRY(TRY(image::Store::open(paths.root)).find_image(image)).has_value();
}

Result<isolate::UnitConfig> resolve(const RunCommand& command, const Globals& globals,
                                    const node::Paths& paths) {
  const std::string& image = command.options.image;
  if (command.pull != "missing" && command.pull != "always" && command.pull != "never") {
    return fail(Code::InvalidArgument, fmt::format("--pull {}: use missing, always or never", command.pull));
  }
  if (command.pull == "always" && !image.empty()) TRY(fetch_image(globals, image));
  auto config = node::resolve_config(paths, command.options);
  if (config || config.error().code != Code::NotFound || !TRY(lacks_image(paths, image))) return config;
  if (command.pull == "never") return config;
  std::fputs(fmt::format("{} is not here yet: pulling it\n", image).c_str(), stderr);
  TRY(fetch_image(globals, image));
  return node::resolve_config(paths, command.options);
}

Result<void> write_cidfile(const std::string& path, const std::string& id) {
  if (path.empty()) return {};
  const sys::Fd file = TRY_DURING("--cidfile", sys::open(path, O_WRONLY | O_CREAT | O_EXCL, 0644));
  return sys::write_all(file.get(), id);
}

struct Created {
  isolate::UnitConfig config;
  sys::Fd lock;
};

Result<Created> create(const RunCommand& command, const Globals& globals, node::Node& node) {
  Created created;
  created.config = TRY(resolve(command, globals, node.paths));
  created.lock = TRY(node::create_instance(node.paths, node.store, created.config));
  const auto written = write_cidfile(command.cidfile, created.config.id);
  if (written) return created;
  static_cast<void>(node::remove_instance(node.paths, created.config));
  return fail(written.error());
}

Result<int> finish(const node::AttachResult& result) {
  if (result.end == node::AttachEnd::Detached) return 0;
  if (result.exit_code) return *result.exit_code;
  return fail(Code::Unknown, "it ended while its monitor was being killed: its exit code is not known");
}

Result<int> run(RunCommand& command, const Invocation& invocation) {
  TRY(take_operands(command, invocation));
  const std::string keys = TRY(node::parse_detach_keys(command.detach_keys));
  const bool stays = !command.detach;
  if (stays && command.options.tty && command.options.interactive && !sys::is_terminal(STDIN_FILENO)) {
    return fail(Code::InvalidArgument, "-t with -i: standard input is not a terminal: leave -t away");
  }
  node::Node node = TRY(node::Node::open(invocation.globals.root));
  Created created = TRY(create(command, invocation.globals, node));
  const std::string id = created.config.id;
  auto link = node::spawn_monitor(node.paths, id, std::move(created.lock),
                                  stays ? node::MonitorMode::StartAttached : node::MonitorMode::Start);
  if (!link) {
    const auto instance = node.store.get(id);
    if (instance && !node::is_active(instance->state))
      static_cast<void>(node::remove(node, *instance, false));
    return report("run", link.error(), node::exit_code_for(link.error()));
  }
  if (!stays) {
    std::fputs((id + "\n").c_str(), stdout);
    return 0;
  }
  const node::AttachOptions options{.input = command.options.interactive,
                                    .tty = command.options.tty,
                                    .signals = command.signals,
                                    .detach_keys = keys,
                                    .lossless = true};
  return finish(TRY(node::stay_attached(node, id, std::move(link->socket), options)));
}

Result<int> create_only(RunCommand& command, const Invocation& invocation) {
  TRY(take_operands(command, invocation));
  node::Node node = TRY(node::Node::open(invocation.globals.root));
  const Created created = TRY(create(command, invocation.globals, node));
  TRY(node.store.set_state(created.config.id, node::State::Created));
  std::fputs((created.config.id + "\n").c_str(), stdout);
  return 0;
}

}  // namespace

Action declare_run(CLI::App& app, const Invocation& invocation) {
  auto command = std::make_shared<RunCommand>();
  add_create_flags(app, *command);
  app.add_flag("-d,--detach", command->detach, "Print the id and leave it running");
  app.add_flag("--sig-proxy", command->signals, "Pass signals on to it (default; --sig-proxy=false for not)");
  app.add_option("--detach-keys", command->detach_keys, "Keys that leave it running")->type_name("KEYS");
  return [command, &invocation] { return run(*command, invocation); };
}

Action declare_create(CLI::App& app, const Invocation& invocation) {
  auto command = std::make_shared<RunCommand>();
  add_create_flags(app, *command);
  return [command, &invocation] { return create_only(*command, invocation); };
}

}  // namespace berth::cmd

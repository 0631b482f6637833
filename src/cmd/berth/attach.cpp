// berth attach and berth exec.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cmd/berth/declare.hpp"
#include "node/detach_keys.hpp"
#include "node/exec.hpp"
#include "node/exit_code.hpp"
#include "node/foreground.hpp"
#include "node/run_options.hpp"
#include "sys/tty.hpp"

namespace berth::cmd {
namespace {

struct AttachCommand {
  std::string name;
  bool no_input = false;
  bool signals = true;
  std::string detach_keys = "ctrl-p,ctrl-q";
};

Result<int> attach(const AttachCommand& command, const Invocation& invocation) {
  const std::string keys = TRY(node::parse_detach_keys(command.detach_keys));
  node::Node node = TRY(node::Node::open(invocation.globals.root));
  const node::Instance instance = TRY(node.store.get(command.name));
  if (!node::is_active(instance.state)) {
    return fail(Code::FailedPrecondition, command.name + " is not running: berth logs shows what it wrote");
  }
  const node::AttachOptions options{.input = instance.config.stdin_open && !command.no_input,
                                    .tty = instance.config.tty,
                                    .signals = command.signals,
                                    .detach_keys = keys};
  const auto result = TRY(node::attach_to(node, instance.config.id, options));
  return result.end == node::AttachEnd::Detached ? 0 : result.exit_code.value_or(node::kExitFailed);
}

struct ExecCommand {
  node::ExecOptions options;
  std::vector<std::string> env;
  std::vector<std::string> env_files;
};

Result<int> exec(ExecCommand& command, const Invocation& invocation) {
  const auto& operands = invocation.operands;
  if (operands.size() < 2) {
    return fail(Code::InvalidArgument,
                "an instance and a program are needed: berth exec INSTANCE PROGRAM [ARG...]");
  }
  unit::ExecConfig& process = command.options.process;
  process.args.assign(operands.begin() + 1, operands.end());
  if (process.tty && command.options.input && !command.options.detach && !sys::is_terminal(STDIN_FILENO)) {
    return fail(Code::InvalidArgument, "-t with -i: standard input is not a terminal: leave -t away");
  }
  if (process.tty) TRY(node::add_env(process.env, "TERM=xterm"));
  for (const std::string& path : command.env_files) TRY(node::add_env_file(process.env, path));
  for (const std::string& setting : command.env) TRY_DURING("-e", node::add_env(process.env, setting));
  node::Node node = TRY(node::Node::open(invocation.globals.root));
  const auto code = node::exec(node, TRY(node.store.get(operands.front())), command.options);
  return code ? *code : report("exec", code.error(), node::exit_code_for(code.error()));
}

}  // namespace

Action declare_attach(CLI::App& app, const Invocation& invocation) {
  auto command = std::make_shared<AttachCommand>();
  app.add_option("INSTANCE", command->name, "Name, id or beginning of an id")->required();
  app.add_flag("--no-stdin", command->no_input, "Do not pass standard input on");
  app.add_flag("--sig-proxy", command->signals, "Pass signals on to it (default; --sig-proxy=false for not)");
  app.add_option("--detach-keys", command->detach_keys, "Keys that leave it running")->type_name("KEYS");
  return [command, &invocation] { return attach(*command, invocation); };
}

Action declare_exec(CLI::App& app, const Invocation& invocation) {
  auto command = std::make_shared<ExecCommand>();
  app.add_flag("-i,--interactive", command->options.input, "Pass standard input on");
  app.add_flag("-t,--tty", command->options.process.tty, "Give it a terminal");
  app.add_flag("-d,--detach", command->options.detach, "Do not wait for it");
  app.add_flag("--privileged", command->options.process.privileged, "All capabilities");
  app.add_option("-e,--env", command->env, "Set an environment variable")
      ->type_name("K[=V]")
      ->allow_extra_args(false);
  app.add_option("--env-file", command->env_files, "Read environment variables from a file")
      ->type_name("FILE")
      ->allow_extra_args(false);
  app.add_option("-w,--workdir", command->options.process.cwd, "Working directory")->type_name("DIR");
  app.add_option("-u,--user", command->options.process.user, "User, by name or number")
      ->type_name("USER[:GROUP]");
  app.footer("berth exec [OPTIONS] INSTANCE PROGRAM [ARG...]");
  return [command, &invocation] { return exec(*command, invocation); };
}

}  // namespace berth::cmd

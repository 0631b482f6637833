// From argv to a command that runs.
#include <fmt/core.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <vector>

#include "base/log.hpp"
#include "cmd/berth-image/command.hpp"
#include "sys/paths.hpp"
#include "sys/userns.hpp"

namespace berth::cmd {
namespace {

struct Globals {
  std::string root;
  std::string log_level = "warn";
  std::string format;
};

struct Declared {
  CLI::App* app;
  Action action;
};

std::vector<Declared> declare_all(CLI::App& app, Globals& globals) {
  app.set_help_flag("-h,--help", "Show this help and exit");
  app.add_option("--root", globals.root, "Directory that holds all state")->type_name("DIR");
  app.add_option("--log-level", globals.log_level, "debug, info, warn or error")->type_name("LEVEL");
  app.add_option("--format", globals.format, "table, json or a template as {{.Name}}")->type_name("FORMAT");
  app.require_subcommand(1);
  app.fallthrough();
  std::vector<Declared> declared;
  for (const Command& command : commands()) {
    CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.summary));
    declared.push_back({sub, command.declare(*sub)});
  }
  return declared;
}

Result<int> run_command(const std::vector<Declared>& declared, const Globals& globals) {
  const auto level = log::parse_level(globals.log_level);
  if (!level) return fail(Code::InvalidArgument, "--log-level: " + level.error().message);
  log::configure("berth", *level);
  const sys::Paths paths = TRY(sys::find_paths(globals.root));
  const auto rootless = TRY(sys::enter_rootless(paths.run));
  if (!rootless.single_user.empty()) log::warn("only one user can be told apart: {}", rootless.single_user);
  const Context context{paths.root, globals.format};
  for (const auto& [app, action] : declared) {
    if (app->parsed()) return action(context);
  }
  return fail(Code::InvalidArgument, "say which command, see 'berth image --help'");
}

int run(int argc, char** argv) {
  CLI::App app("Work with images", "berth image");
  Globals globals;
  const auto declared = declare_all(app, globals);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    std::string what = error.what();
    what = what.substr(0, what.find('\n'));
    const auto strange = app.remaining();
    if (app.get_subcommands().empty() && !strange.empty())
      what = fmt::format("there is no command {}", strange.front());
    complain({Code::InvalidArgument, 0, what + " (see 'berth image --help')"});
    return kBerthFailed;
  }
  const auto code = run_command(declared, globals);
  if (code) return *code;
  complain(code.error());
  return kBerthFailed;
}

}  // namespace
}  // namespace berth::cmd

int main(int argc, char** argv) {
  ::signal(SIGPIPE,
           SIG_IGN);  // a reader that has gone away is an error like others: work in progress is tidied up
  return berth::cmd::run(argc, argv);
}

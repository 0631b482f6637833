// From argv to a command that runs: only the command that was asked for is declared, as declaring all takes
// longer than most commands do.
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>

#include "base/log.hpp"
#include "cmd/berth/command.hpp"
#include "node/exit_code.hpp"
#include "sys/fd.hpp"

namespace berth::cmd {
namespace {

constexpr int kBerthFailed = node::kExitFailed;

using Args = std::vector<std::string>;

// What follows a known option as its value: true where `word` ("--name", "-itv") takes the next argument.
bool takes_next(const CLI::App& app, const std::string& word) {
  const auto value_wanted = [&](const std::string& name) {
    for (const CLI::App* scope = &app; scope != nullptr; scope = scope->get_parent()) {
      if (const CLI::Option* option = scope->get_option_no_throw(name))
        return option->get_items_expected_max() > 0;
    }
    return false;
  };
  if (word.starts_with("--")) return word.find('=') == std::string::npos && value_wanted(word);
  for (std::size_t i = 1; i < word.size(); ++i) {
    if (value_wanted(std::string("-") + word[i])) return i + 1 == word.size();  // "-vX" carries its value
  }
  return false;
}

// The index of the first argument that is no option of `app` nor an option's value; args.size() where there
// is none.
std::size_t first_operand(const CLI::App& app, const Args& args, std::size_t from) {
  std::size_t i = from;
  while (i < args.size() && args[i].size() > 1 && args[i][0] == '-' && args[i] != "--") {
    i += takes_next(app, args[i]) ? 2 : 1;
  }
  return std::min(i, args.size());
}

// Cuts the operands off `args`, so that the parser sees options only.
void take_operands(const CLI::App& app, Args& args, std::size_t from, Invocation& invocation) {
  std::size_t first = first_operand(app, args, from);
  const std::size_t end_of_options = first;
  if (first < args.size() && args[first] == "--") {
    invocation.after_dashes = true;
    ++first;
  }
  invocation.operands.assign(args.begin() + static_cast<std::ptrdiff_t>(first), args.end());
  args.resize(end_of_options);
}

int report_usage(std::string_view command, const CLI::ParseError& error) {
  const std::string program = command.empty() ? "berth" : fmt::format("berth {}", command);
  std::string what = error.what();
  if (const auto end = what.find('\n'); end != std::string::npos) what.resize(end);
  std::fputs(fmt::format("{}: {} (see '{} --help')\n", program, what, program).c_str(), stderr);
  return kBerthFailed;
}

// CLI11 wants the arguments last first.
std::optional<int> parse(CLI::App& app, std::string_view command, Args args) {
  try {
    app.parse(Args(args.rbegin(), args.rend()));
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    const CLI::App* shown = &app;
    while (!shown->get_subcommands().empty()) shown = shown->get_subcommands().front();
    std::fputs(shown->help().c_str(), stdout);
    return 0;
  } catch (const CLI::CallForVersion& version) {
    std::fputs(fmt::format("{}\n", version.what()).c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    return report_usage(command, error);
  }
}

int forward(const Command& command, const Globals& globals, const Args& rest) {
  Args args;
  if (!globals.root.empty()) args.insert(args.end(), {"--root", globals.root});
  args.insert(args.end(), {"--log-level", globals.log_level});
  if (!globals.format.empty()) args.insert(args.end(), {"--format", globals.format});
  if (command.forward != "*") args.emplace_back(command.forward);
  args.insert(args.end(), rest.begin(), rest.end());
  const auto failed = become_sibling("berth-image", args);
  return report(command.name, failed.error(), kBerthFailed);
}

int run_action(std::string_view command, const Action& action, const Globals& globals) {
  const auto level = log::parse_level(globals.log_level);
  if (!level)
    return report(command, Error{Code::InvalidArgument, 0, "--log-level: " + level.error().message},
                  kBerthFailed);
  log::configure("berth", *level);
  const auto code = action();
  return code ? *code : report(command, code.error(), kBerthFailed);
}

int run_help(CLI::App& app, const Invocation& invocation, const Args& args, std::size_t word) {
  declare_all(app, invocation);
  if (word < args.size()) {
    return report("",
                  Error{Code::InvalidArgument, 0,
                        fmt::format("there is no command {}: see 'berth --help'", args[word])},
                  kBerthFailed);
  }
  if (const auto done = parse(app, "", args)) return *done;
  std::fputs(app.help().c_str(), stderr);
  return kBerthFailed;
}

}  // namespace

int report(std::string_view command, const Error& error, int exit_code) {
  std::fputs(fmt::format("berth{}{}: {}\n", command.empty() ? "" : " ", command, error.message).c_str(),
             stderr);
  return exit_code;
}

int for_each_name(std::string_view command, const Args& names,
                  const std::function<Result<void>(const std::string& name)>& body) {
  int exit_code = 0;
  for (const std::string& name : names) {
    const auto done = body(name);
    if (!done) exit_code = report(command, done.error(), kBerthFailed);
  }
  return exit_code;
}

void declare_globals(CLI::App& app, Globals& globals) {
  app.set_help_flag("-h,--help", "Show this help and exit");
  app.set_version_flag("--version", "berth " BERTH_VERSION, "Show the version and exit");
  app.add_option("--root", globals.root, "Directory that holds all state")->type_name("DIR");
  app.add_option("--log-level", globals.log_level, "debug, info, warn or error")->type_name("LEVEL");
  app.add_option("--format", globals.format, "table, json or a template as {{.Name}}")->type_name("FORMAT");
}

int run_command_line(const Args& args) {
  Invocation invocation;
  CLI::App app("One way to run an OCI image: as a process, a container, a virtual machine or a machine",
               "berth");
  declare_globals(app, invocation.globals);
  const std::size_t word = first_operand(app, args, 0);
  const Command* command = word < args.size() ? find_command(args[word]) : nullptr;
  if (command == nullptr) return run_help(app, invocation, args, word);
  if (command->declare == nullptr) {
    const auto split = args.begin() + static_cast<std::ptrdiff_t>(word);
    if (const auto done = parse(app, "", Args(args.begin(), split))) return *done;
    return forward(*command, invocation.globals, Args(split + 1, args.end()));
  }
  CLI::App* sub = app.add_subcommand(std::string(command->name), std::string(command->summary));
  sub->set_help_flag("--help", "Show this help and exit");
  sub->fallthrough();
  const Action action = command->declare(*sub, invocation);
  Args options = args;
  if (command->operands == Operands::EndOptions) take_operands(*sub, options, word + 1, invocation);
  if (const auto done = parse(app, command->name, options)) return *done;
  return run_action(command->name, action, invocation.globals);
}

void declare_all(CLI::App& app, const Invocation& invocation) {
  for (const Command& command : commands()) {
    CLI::App* sub = app.add_subcommand(std::string(command.name), std::string(command.summary));
    sub->group(std::string(command.group));
    sub->set_help_flag("--help", "Show this help and exit");
    if (command.declare != nullptr) static_cast<void>(command.declare(*sub, invocation));
  }
}

Result<int> become_sibling(std::string_view program, const Args& args) {
  const std::string self = TRY_DURING("cannot find berth's own program", sys::read_link("/proc/self/exe"));
  const std::string path = fmt::format("{}/{}", self.substr(0, self.rfind('/')), program);
  std::vector<char*> argv;
  std::string name(program);
  argv.push_back(name.data());
  Args copies = args;
  for (std::string& arg : copies) argv.push_back(arg.data());
  argv.push_back(nullptr);
  ::execv(path.c_str(), argv.data());
  return fail_errno(fmt::format("cannot run {} (it belongs beside berth)", path));
}

}  // namespace berth::cmd

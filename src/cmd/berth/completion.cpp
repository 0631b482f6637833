// Completion scripts, generated from the declared commands so that they can never lag behind.
#include "base/completion.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "cmd/berth/declare.hpp"

namespace berth::cmd {
namespace {

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    for (const auto& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

CompletedProgram described(const Invocation& invocation) {
  Globals unused;
  CLI::App app("", "berth");
  declare_globals(app, unused);
  declare_all(app, invocation);
  CompletedProgram program{"berth", {{"", "", options_of(app)}}, {}, "ps -a --format '{{.Name}}'"};
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) {
      if (option->get_items_expected_max() > 0) program.valued.push_back("--" + name);
    }
  }
  for (const CLI::App* sub : app.get_subcommands({}))
    program.commands.push_back({sub->get_name(), sub->get_description(), options_of(*sub)});
  return program;
}

Result<int> print_completion(const std::string& shell, const Invocation& invocation) {
  std::fputs(TRY(completion_script(described(invocation), shell)).c_str(), stdout);
  return 0;
}

}  // namespace

Action declare_completion(CLI::App& app, const Invocation& invocation) {
  auto shell = std::make_shared<std::string>();
  app.add_option("SHELL", *shell, "bash, zsh or fish")->required();
  return [shell, &invocation] { return print_completion(*shell, invocation); };
}

}  // namespace berth::cmd

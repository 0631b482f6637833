// Completion scripts, generated from the declared commands so that they can never lag behind.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/text.hpp"
#include "cmd/berth/declare.hpp"

namespace berth::cmd {
namespace {

struct Words {
  std::string command;
  std::string summary;
  std::vector<std::string> options;  // "--name", "-d"
};

std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    for (const auto& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

std::vector<Words> all_words(const Invocation& invocation) {
  Globals unused;
  CLI::App app("", "berth");
  declare_globals(app, unused);
  declare_all(app, invocation);
  std::vector<Words> words = {{"", "", options_of(app)}};
  for (const CLI::App* sub : app.get_subcommands({})) {
    words.push_back({sub->get_name(), sub->get_description(), options_of(*sub)});
  }
  return words;
}

// Operands of most commands are instances; these take images, or complete themselves.
constexpr std::string_view kInstanceNames = "berth ps -a --format '{{.Name}}' 2>/dev/null";

std::string command_list(const std::vector<Words>& words) {
  std::vector<std::string> names;
  for (const Words& word : words) {
    if (!word.command.empty()) names.push_back(word.command);
  }
  return join(names, " ");
}

std::string bash_script(const std::vector<Words>& words) {
  std::string cases;
  for (const Words& word : words) {
    cases += fmt::format("    {}) options=\"{}\" ;;\n", word.command.empty() ? "''" : word.command,
                         join(word.options, " "));
  }
  return fmt::format(R"sh(_berth() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" command="" options="" word
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in -*) ;; *) command="$word"; break ;; esac
  done
  case "$command" in
{}  esac
  if [[ "$current" == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$current"))
  elif [[ -z "$command" ]]; then COMPREPLY=($(compgen -W "{}" -- "$current"))
  else COMPREPLY=($(compgen -W "$({})" -- "$current") $(compgen -f -- "$current"))
  fi
}}
complete -F _berth berth
)sh",
                     cases, command_list(words), kInstanceNames);
}

// zsh runs bash's script through its own compatibility layer.
std::string zsh_script(const std::vector<Words>& words) {
  return "#compdef berth\nautoload -Uz bashcompinit && bashcompinit\n" + bash_script(words);
}

std::string fish_quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return quoted + "'";
}

std::string fish_script(const std::vector<Words>& words) {
  std::string script = "complete -c berth -f\n";
  for (const Words& word : words) {
    if (!word.command.empty()) {
      script += fmt::format("complete -c berth -n __fish_use_subcommand -a {} -d {}\n", word.command,
                            fish_quoted(word.summary));
    }
    const std::string when = word.command.empty()
                                 ? "__fish_use_subcommand"
                                 : fmt::format("'__fish_seen_subcommand_from {}'", word.command);
    for (const std::string& option : word.options) {
      const bool is_long = option.starts_with("--");
      script += fmt::format("complete -c berth -n {} -{} {}\n", when, is_long ? 'l' : 's',
                            option.substr(is_long ? 2 : 1));
    }
  }
  return script + fmt::format("complete -c berth -n 'not __fish_use_subcommand' -a '({})'\n",
                              "berth ps -a --format \"{{.Name}}\" 2>/dev/null");
}

Result<int> print_completion(const std::string& shell, const Invocation& invocation) {
  const auto words = all_words(invocation);
  std::string script;
  if (shell == "bash")
    script = bash_script(words);
  else if (shell == "zsh")
    script = zsh_script(words);
  else if (shell == "fish")
    script = fish_script(words);
  else
    return fail(Code::InvalidArgument, fmt::format("no completion for {}: use bash, zsh or fish", shell));
  std::fputs(script.c_str(), stdout);
  return 0;
}

}  // namespace

Action declare_completion(CLI::App& app, const Invocation& invocation) {
  auto shell = std::make_shared<std::string>();
  app.add_option("SHELL", *shell, "bash, zsh or fish")->required();
  return [shell, &invocation] { return print_completion(*shell, invocation); };
}

}  // namespace berth::cmd

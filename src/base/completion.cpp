#include "base/completion.hpp"

#include <fmt/core.h>

#include "base/text.hpp"

namespace berth {
namespace {

std::string command_list(const CompletedProgram& program) {
  std::vector<std::string> names;
  for (const CompletedCommand& command : program.commands) {
    if (!command.name.empty()) names.push_back(command.name);
  }
  return join(names, " ");
}

// A shell's function cannot be named like every program.
std::string function_name(const CompletedProgram& program) {
  std::string name = "_" + program.name;
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  return name;
}

// Bash splits "--root=DIR" in three (COMP_WORDBREAKS).
std::string bash_script(const CompletedProgram& program) {
  std::string cases;
  for (const CompletedCommand& command : program.commands) {
    cases += fmt::format("    {}) options=\"{}\" ;;\n", command.name.empty() ? "''" : command.name,
                         join(command.options, " "));
  }
  const std::string valued = program.valued.empty() ? "''" : join(program.valued, "|");
  return fmt::format(R"sh({0}() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" command="" options="" word at
  local -a globals=()
  for ((at = 1; at < COMP_CWORD; at++)); do
    word="${{COMP_WORDS[at]}}"
    case "$word" in
      {1}) [[ "${{COMP_WORDS[at + 1]}}" == "=" ]] && ((at++)); ((at++)); globals+=("$word" "${{COMP_WORDS[at]}}") ;;
      -*) globals+=("$word") ;;
      *) command="$word"; break ;;
    esac
  done
  case "$command" in
{2}  esac
  if [[ "$current" == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$current"))
  elif [[ -z "$command" ]]; then COMPREPLY=($(compgen -W "{3}" -- "$current"))
  else COMPREPLY=($(compgen -W "$({4} "${{globals[@]}}" {5} 2>/dev/null)" -- "$current") $(compgen -f -- "$current"))
  fi
}}
complete -F {0} {4}
)sh",
                     function_name(program), valued, cases, command_list(program), program.name,
                     program.operands);
}

// zsh runs bash's script through its own compatibility layer.
std::string zsh_script(const CompletedProgram& program) {
  return fmt::format("#compdef {}\nautoload -Uz bashcompinit && bashcompinit\n", program.name) +
         bash_script(program);
}

std::string fish_quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return quoted + "'";
}

std::string fish_script(const CompletedProgram& program) {
  const std::string complete = "complete -c " + program.name;
  std::string script = complete + " -f\n";
  for (const CompletedCommand& command : program.commands) {
    const bool global = command.name.empty();
    if (!global) {
      script += fmt::format("{} -n __fish_use_subcommand -a {} -d {}\n", complete, command.name,
                            fish_quoted(command.summary));
    }
    const std::string when =
        global ? "__fish_use_subcommand" : fmt::format("'__fish_seen_subcommand_from {}'", command.name);
    for (const std::string& option : command.options) {
      const bool is_long = option.starts_with("--");
      script += fmt::format("{} -n {} -{} {}\n", complete, when, is_long ? 'l' : 's',
                            option.substr(is_long ? 2 : 1));
    }
  }
  const std::string operands = fmt::format("({} {} 2>/dev/null)", program.name, program.operands);
  return script + fmt::format("{} -n 'not __fish_use_subcommand' -a {}\n", complete, fish_quoted(operands));
}

}  // namespace

Result<std::string> completion_script(const CompletedProgram& program, std::string_view shell) {
  if (shell == "bash") return bash_script(program);
  if (shell == "zsh") return zsh_script(program);
  if (shell == "fish") return fish_script(program);
  return fail(Code::InvalidArgument, fmt::format("no completion for {}: use bash, zsh or fish", shell));
}

}  // namespace berth

// The shape of one command, and the table of all of them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace CLI {
class App;
}

namespace berth::cmd {

// The options that stand before (or after) every command.
struct Globals {
  std::string root;  // "": the user's default
  std::string log_level = "warn";
  std::string format;  // "": each command's own default
};

// What a command is given when it runs. It lives as long as the program.
struct Invocation {
  Globals globals;
  // For commands whose options end at their first operand (run, create, exec): the operands, untouched.
  std::vector<std::string> operands;
  bool after_dashes = false;  // "--" stood directly before them
};

// Runs the command; the value is the exit code. An error is reported by the caller, with exit code 125.
using Action = std::function<Result<int>()>;

enum class Operands { Parsed, EndOptions };

// One row of the table. Exactly one of `declare` and `forward` is set.
struct Command {
  std::string_view name;
  std::string_view group;
  std::string_view summary;
  // Adds the command's options to `app`; the storage they are parsed into belongs to the action.
  Action (*declare)(CLI::App& app, const Invocation& invocation) = nullptr;
  Operands operands = Operands::Parsed;
  // Handed on, arguments untouched, to berth-image as this subcommand ("*": the first argument names it).
  std::string_view forward;
};

std::span<const Command> commands();
const Command* find_command(std::string_view name);

// Adds every command to `app`, as for --help and completion.
void declare_all(CLI::App& app, const Invocation& invocation);
void declare_globals(CLI::App& app, Globals& globals);

// Parses and runs; gives the program's exit code.
int run_command_line(const std::vector<std::string>& args);

// Prints the error as the command's, for a person; gives `exit_code` back.
int report(std::string_view command, const Error& error, int exit_code);

// Runs `body` for each name; an error is printed and the rest are still done. The exit code: 0, or 125 after
// an error.
int for_each_name(std::string_view command, const std::vector<std::string>& names,
                  const std::function<Result<void>(const std::string& name)>& body);

// Becomes the sibling program `program`, which lies beside this one. Returns only on failure.
Result<int> become_sibling(std::string_view program, const std::vector<std::string>& args);

}  // namespace berth::cmd

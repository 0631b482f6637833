// Completion scripts for a program with commands: "PROGRAM [GLOBAL OPTION...] COMMAND [ARG...]".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth {

struct CompletedCommand {
  std::string name;  // "" for what stands before the command
  std::string summary;
  std::vector<std::string> options;  // "--name", "-d"
};

struct CompletedProgram {
  std::string name;
  std::vector<CompletedCommand> commands;
  std::vector<std::string> valued;  // global options that a value follows
  std::string operands;  // the program's own command that prints, a line each, what operands may be
};

// `shell` is "bash", "zsh" or "fish"; InvalidArgument for another. Operands may also be files.
Result<std::string> completion_script(const CompletedProgram& program, std::string_view shell);

}  // namespace berth

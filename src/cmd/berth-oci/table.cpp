#include <fmt/core.h>

#include <cstdio>

#include "cmd/berth-oci/command.hpp"

namespace berth::cmd {

const std::vector<OciCommand>& oci_commands() {
  static const std::vector<OciCommand> commands = {
      {"create", "[OPTION...] CONTAINER", "make a container of a bundle, all but its program's start",
       run_create, true},
      {"delete", "[--force] CONTAINER", "free what a container holds", run_delete},
      {"events", "[OPTION...] CONTAINER", "print what a container uses, and when it runs out of memory",
       run_events},
      {"exec", "[OPTION...] CONTAINER PROGRAM [ARG...]", "run one more process in a container", run_exec,
       true},
      {"features", "", "print what this runtime can do as JSON", run_features},
      {"kill", "[--all] CONTAINER [SIGNAL]", "send a signal to a container", run_kill},
      {"list", "[OPTION...]", "list containers", run_list},
      {"pause", "CONTAINER", "freeze all processes of a container", run_pause},
      {"ps", "[OPTION...] CONTAINER [PS OPTION...]", "list the processes of a container", run_ps},
      {"resume", "CONTAINER", "let a paused container go on", run_resume},
      {"run", "[OPTION...] CONTAINER", "create and start a container", run_run, true},
      {"spec", "[OPTION...]", "write a configuration to begin with", run_spec},
      {"start", "CONTAINER", "start the program of a created container", run_start},
      {"state", "CONTAINER", "print the state of a container as JSON", run_state},
      {"update", "[OPTION...] CONTAINER", "change what a container may use", run_update},
  };
  return commands;
}

Result<std::string> container_id(const Args& operands) {
  if (operands.size() == 1) return operands.front();
  return fail(Code::InvalidArgument, operands.empty()
                                         ? std::string("name the container")
                                         : fmt::format("name one container, not {}", operands.size()));
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace berth::cmd

// Starting another program of ours.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace berth::sys {

struct SpawnOptions {
  // {ours, theirs}: descriptors that the program gets, under the numbers it expects. All others are
  // close-on-exec.
  std::vector<std::pair<int, int>> fds;
  int program_file = -1;     // a descriptor to run the program by (see out_of_reach()); -1: its path
  bool new_session = false;  // no controlling terminal, out of reach of the caller's ^C
};

// Starts `program` (a path) with `args` (args[0] included) and our environment; gives its process number. The
// caller reaps it.
Result<pid_t> spawn(const std::string& program, const std::vector<std::string>& args,
                    const SpawnOptions& options);

// The path of the program `name` that is installed beside the running one. One that runs out of reach must
// have been called (args[0]) by its path.
Result<std::string> sibling_program(std::string_view name);

}  // namespace berth::sys

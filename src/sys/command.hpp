// Running another program to its end: text in, text out, bounded in time and size.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace berth::sys {

struct CommandInput {
  std::string text;  // its standard input
  std::chrono::milliseconds timeout = std::chrono::seconds(60);
  std::size_t max_output_bytes = 64 << 10;
};

struct CommandOutput {
  int exit_code = 0;  // 128 + N where signal N ended it
  std::string text;   // its standard output
};

// Looks `arguments[0]` up in PATH; standard error is the caller's. NotFound where there is no such program,
// DeadlineExceeded or ResourceExhausted (the program is then killed) past the bounds.
Result<CommandOutput> run_command(const std::vector<std::string>& arguments, const CommandInput& input);

}  // namespace berth::sys

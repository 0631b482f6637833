// Asking the person at the terminal.
#pragma once

#include <string>

#include "base/result.hpp"

namespace berth::sys {

// Writes `question` to standard error and reads a line from standard input; without `echo` a terminal does
// not show what is typed (and is put back as it was, also on ctrl-c, which is Cancelled). FailedPrecondition
// at the end of input.
Result<std::string> ask(const std::string& question, bool echo);

}  // namespace berth::sys

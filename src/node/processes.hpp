// One process as /proc shows it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace berth::node {

struct ProcessInfo {
  pid_t parent = 0;
  uid_t uid = 0;
  char state = '?';                // as proc(5) has it: R, S, D, Z, T, ...
  std::uint64_t memory_bytes = 0;  // resident
  double cpu_seconds = 0;
  std::string command;
};

Result<ProcessInfo> read_process(pid_t pid);

}  // namespace berth::node

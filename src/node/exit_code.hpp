// Exit codes of berth where no workload gives one; Docker's.
#pragma once

#include "base/result.hpp"

namespace berth::node {

inline constexpr int kExitFailed = 125;      // berth itself failed
inline constexpr int kExitNotInvoked = 126;  // the program cannot be invoked
inline constexpr int kExitNotFound = 127;    // there is no such program

// For an error of Unit::launch() or Unit::exec().
inline int exit_code_for(const Error& error) {
  if (error.code == Code::NotFound) return kExitNotFound;
  return error.code == Code::PermissionDenied ? kExitNotInvoked : kExitFailed;
}

}  // namespace berth::node

// One more process in a running container.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "isolate/launcher.hpp"

namespace berth::oci {

struct ExecRequest {
  std::string root;
  std::string id;
  std::vector<std::string> args;
  std::string process_file;      // --process: everything below but what is given besides
  std::vector<std::string> env;  // added to the container's own
  std::string cwd;
  std::string user;  // "UID[:GID]"
  std::vector<std::string> additional_gids;
  std::vector<std::string> capabilities;  // added
  std::string apparmor;
  std::string process_label;
  bool no_new_privileges = false;
  bool tty = false;
  std::string console_socket;
  std::string pid_file;
  std::vector<std::string> cgroups;  // below the container's own: "inner", or "pids,memory:inner" (version 1)
  int preserve_fds = 0;
  bool ignore_paused = false;
  bool keeps_terminal = false;
};

// The process runs its program when this comes back; it is a child of the caller. FailedPrecondition where
// the container does not run, or is paused.
Result<isolate::LaunchedProcess> exec(const ExecRequest& request);

}  // namespace berth::oci

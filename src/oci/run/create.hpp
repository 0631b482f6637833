// Making a container: everything of its start but the program's own exec.
#pragma once

#include <string>

#include "base/result.hpp"
#include "isolate/launcher.hpp"
#include "oci/plan/context.hpp"
#include "oci/state/container_dir.hpp"
#include "oci/state/state.hpp"

namespace berth::oci {

struct CreateRequest {
  std::string root;  // of the states
  std::string id;
  std::string bundle;
  std::string config;  // file name in the bundle; "": config.json
  std::string pid_file;
  std::string console_socket;
  CreateOptions options;
  bool keeps_terminal = false;  // `run` in the foreground stays as the terminal's other end
};

struct Container {
  ContainerDir dir;  // locked
  State state;
  Spec spec;
  isolate::LaunchedProcess process;  // waits at its gate; a child of this process
};

// On failure nothing is left behind. A program that does not exist or may not be run is found out here
// (NotFound, PermissionDenied).
Result<Container> create(const CreateRequest& request);

// Lets the program of a created container run, then runs the poststart hooks. FailedPrecondition for any
// other status.
Result<void> start(ContainerDir& dir, const State& state);

}  // namespace berth::oci

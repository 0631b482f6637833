// One more process in a running instance. The command line itself is its parent: no monitor is involved.
#pragma once

#include "node/control.hpp"
#include "unit/unit.hpp"

namespace berth::node {

struct ExecOptions {
  unit::ExecConfig process;
  bool input = false;   // pass our standard input on
  bool detach = false;  // leave it alone once it runs
};

// The exit code of the process; 0 with `detach`. The error of a failed launch otherwise.
Result<int> exec(Node& node, const Instance& instance, const ExecOptions& options);

}  // namespace berth::node

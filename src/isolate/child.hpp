// The child's side of a launch, between fork and exec. Nothing here allocates: all text is made before the
// fork.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "isolate/launch_plan.hpp"

namespace berth::isolate {

// What the child tells its launcher, as ChannelMessage::kind; past the gate, whoever opened that.
enum class Report : std::int32_t {
  StepFailed,   // first: index over setup, lockdown and last; second: errno
  StdioFailed,  // second: errno
  Terminal,     // carries the master
  AtErrand,     // first: index; the child waits for any answer
  NeedsUsers,   // the first process made the user namespace and waits for its mappings
  Joined,       // first: the pid of the process that goes on, made inside the joined namespaces
  JoinFailed,   // second: errno
  Ready,        // all but exec is done; first: 1 where the child now waits at the gate
  ExecFailed,   // second: errno
};

// Everything the child needs, ready to use.
struct ChildImage {
  ChildImage(LaunchPlan& plan, const Stdio& stdio, int channel);

  LaunchPlan& plan;
  const Stdio& stdio;
  ChildContext context;
  bool past_gate = false;
  std::vector<std::string> candidates;  // programs to try, by PATH
  std::vector<const char*> argv;
  std::vector<const char*> envp;
};

// Waits for the launcher's word, then does it all; never returns.
[[noreturn]] void run_child(ChildImage& image) noexcept;

}  // namespace berth::isolate

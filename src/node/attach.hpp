// A person's side of an instance: terminal or pipes on one end, the monitor's socket on the other.
#pragma once

#include <optional>
#include <string>

#include "node/paths.hpp"
#include "sys/fd.hpp"

namespace berth::node {

struct AttachOptions {
  bool input = false;                    // pass our standard input on
  bool tty = false;                      // the unit has a terminal
  bool signals = true;                   // pass signals on instead of dying of them
  std::string detach_keys = "\x10\x11";  // ctrl-p ctrl-q; "" for none
  bool lossless = false;
};

enum class AttachEnd { Ended, Detached, Lost };

struct AttachResult {
  AttachEnd end = AttachEnd::Lost;
  std::optional<int> exit_code;  // of the workload, where it ended and somebody saw it
};

// Serves the connection until the instance ends, the person detaches or the monitor is lost.
Result<AttachResult> attach(const sys::Fd& socket, const AttachOptions& options);

// A connection to a running instance's monitor. Unavailable or NotFound where there is none.
Result<sys::Fd> connect_monitor(const Paths& paths, const std::string& id);

}  // namespace berth::node

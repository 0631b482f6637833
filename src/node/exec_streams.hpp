// The standard streams of a process that the command line runs in a unit. Our own terminal is never handed
// over: whoever holds it could read what is typed to others.
#pragma once

#include <array>
#include <string>

#include "base/result.hpp"
#include "isolate/config.hpp"
#include "sys/fd.hpp"

namespace berth::node {

class ExecStreams {
 public:
  static Result<ExecStreams> create(bool tty, bool input);
  isolate::Stdio stdio() const;
  void launched(sys::Fd terminal);
  // Copies between our streams and the process's until it has ended and all it said is out; passes signals
  // on.
  Result<void> serve(int pidfd);

 private:
  Result<bool> copy_output(sys::Fd& from, int to);
  void copy_input();
  void flush_input();
  int input_fd() const { return tty_ ? out_.get() : in_.get(); }
  bool tty_ = false;
  bool input_open_ = false;
  sys::Fd in_;   // ours: we write the process's input
  sys::Fd out_;  // ours: we read its output; the terminal's master with one
  sys::Fd err_;
  std::array<sys::Fd, 3> theirs_;
  std::string pending_;  // read from our input, not yet taken by the process
};

}  // namespace berth::node

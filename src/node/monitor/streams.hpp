// The workload's standard streams, as its monitor holds them.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "isolate/config.hpp"
#include "node/log_line.hpp"
#include "sys/fd.hpp"
#include "sys/terminal.hpp"

namespace berth::node {

// Without a terminal the streams are FIFOs in the instance's run directory. The workload's ends of its
// outputs are open for reading too, so that it is not killed (SIGPIPE) when its monitor dies: it waits for
// the next one, which finds the FIFOs by name. Their mode lets any user of the unit reopen /dev/stdout;
// nobody else gets through the run directory.
class Streams {
 public:
  // For a new run. A terminal is made by the launch; launched() brings it.
  static Result<Streams> create(const isolate::UnitConfig& config, const std::string& run_dir);
  // For a workload that another monitor started. Its terminal, if it had one, died with that monitor.
  static Result<Streams> reopen(const isolate::UnitConfig& config, const std::string& run_dir);

  isolate::Stdio stdio() const;
  // The workload has its ends now: lets go of ours.
  void launched(sys::Fd terminal);

  // The descriptor to poll for reading; -1 where the stream has ended.
  int output(Stream stream) const;
  // Reads at most `buffer`; nothing at all where there is nothing now or no more.
  std::string_view read(Stream stream, std::span<char> buffer);
  bool ended() const { return !out_ && !err_; }

  // Gives input. Bytes that do not fit yet stay in `bytes`.
  void write(std::string& bytes);
  int input() const;  // to poll for writing; -1 where input is closed
  void close_input();
  void resize(sys::WindowSize size);

 private:
  bool tty_ = false;
  sys::Fd out_;  // with a terminal, its master; err_ and in_ stay empty
  sys::Fd err_;
  sys::Fd in_;
  std::array<sys::Fd, 3> theirs_;
};

}  // namespace berth::node

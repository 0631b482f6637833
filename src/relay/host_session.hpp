// The host's side of one process in a guest: its streams are this process's, signals are passed on, and the
// terminal's size.
#pragma once

#include <array>
#include <optional>

#include "relay/relay.hpp"

namespace berth::relay {

// Blocks the signals that a program may be sent, and gives a descriptor that tells of them (signalfd(2)).
// Before any thread is made.
Result<sys::Fd> take_over_signals();

// Belongs to one thread, which polls, as a Relay's does.
class HostSession {
 public:
  // `signals` is take_over_signals()'s. With `tty`, standard input is a terminal in raw mode and both ways.
  HostSession(sys::Fd connection, sys::Fd signals, bool tty);
  // What is to run; Start waits for the guest's Hello.
  void ask(Kind kind, std::string payload);

  void prepare(std::vector<pollfd>& fds) const;
  void handle(std::span<const pollfd> fds);

  bool started() const { return started_; }
  const std::optional<Error>& refused() const { return refused_; }
  // Also the end of a connection that broke; all output has then been written.
  bool finished() const { return broken() || (exit_code_ && relay_.settled()); }
  std::optional<int> exit_code() const { return exit_code_; }
  std::uint64_t oom_kills() const { return oom_kills_; }
  bool broken() const { return relay_.closed() && !exit_code_ && !refused_; }

 private:
  void receive(const Frame& frame);
  void begin();
  void end(const std::string& payload);
  void take_signals();
  void send_signal(int number) { relay_.send(Kind::Signal, std::to_string(number)); }
  void send_size();

  Relay relay_;
  sys::Fd signals_;
  const bool tty_;
  std::string start_;
  std::vector<int> early_signals_;
  bool started_ = false;
  std::optional<Error> refused_;
  std::optional<int> exit_code_;
  std::uint64_t oom_kills_ = 0;
};

}  // namespace berth::relay

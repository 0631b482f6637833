// One monitor's work: a loop around poll(2) that moves bytes between the workload, its log and its clients
// until the workload has ended and all it said has been passed on. One thread; nothing here waits anywhere
// else.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "isolate/config.hpp"
#include "node/log_writer.hpp"
#include "node/monitor/clients.hpp"
#include "node/monitor/streams.hpp"
#include "sys/fd.hpp"

namespace berth::node {

class Session {
 public:
  using Clock = std::chrono::steady_clock;

  Session(Clients clients, LogWriter log) : clients_(std::move(clients)), log_(std::move(log)) {}
  Clients& clients() { return clients_; }
  bool stop_requested() const { return stop_requested_; }

  // Serves until `pidfd` tells that the workload's first process has ended.
  void run(int pidfd, Streams streams);
  // Takes what is left in the streams; call when no process of the workload lives any more.
  void drain();
  // Serves clients only, until `until` or until somebody asks for a stop.
  void idle(Clock::time_point until);
  // Waits until every client has what it was told, each within its patience.
  void flush();

 private:
  // Waits for something to do, at most until `until`, and does it. False when time ran out.
  bool step(int pidfd, std::optional<Clock::time_point> until);
  void handle(Message kind, std::string_view payload);
  void end_input();
  bool pump(Stream stream);
  void write_log(Stream stream, std::string_view bytes);
  Clients clients_;
  LogWriter log_;
  Streams streams_;
  std::string input_;  // what a client gave and the workload has not taken yet
  bool input_ends_ = false;
  int workload_ = -1;  // its pidfd, while run() runs
  bool ended_ = false;
  bool stop_requested_ = false;
  bool log_failed_ = false;
};

}  // namespace berth::node

// One process of the guest and the connection that it is run over.
#pragma once

#include <optional>

#include "relay/relay.hpp"
#include "unit/unit.hpp"

namespace berth::guest_init {

// What the guest runs, known once the first connection has said it.
struct Workload {
  std::optional<isolate::UnitConfig> config;
  unit::Running running;
};

// Used by the server's thread.
class Session {
 public:
  // The first session says what the guest runs, the others join it.
  Session(sys::Fd connection, Workload& workload, bool first);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void prepare(std::vector<pollfd>& fds) const { relay_.prepare(fds); }
  void handle(std::span<const pollfd> fds) { relay_.handle(fds); }
  bool owns(pid_t pid) const { return launched_ && launched_->pid == pid; }
  void process_ended(int wait_status);
  // Sends what is left of an ended process; call after each round.
  void advance();
  bool first() const { return first_; }
  bool done() const;

 private:
  void receive(const relay::Frame& frame);
  Result<void> start(const std::string& json);
  Result<void> exec(const std::string& json);
  Result<void> launch(bool tty, bool input,
                      const std::function<Result<unit::Launched>(const unit::Stdio&)>& run);
  void resize(const std::string& payload);
  void signal(const std::string& payload);

  Workload& workload_;
  const bool first_;
  relay::Relay relay_;
  std::optional<unit::Launched> launched_;
  sys::Fd terminal_;  // for its size
  std::optional<int> exit_code_;
  bool told_end_ = false;
};

}  // namespace berth::guest_init

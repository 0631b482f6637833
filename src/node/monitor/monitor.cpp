#include "node/monitor/monitor.hpp"

#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "base/log.hpp"
#include "node/exit_code.hpp"
#include "node/instance_store.hpp"
#include "node/monitor/session.hpp"
#include "node/remove.hpp"
#include "node/restart.hpp"
#include "sys/message_socket.hpp"
#include "sys/process.hpp"
#include "unit/unit.hpp"

namespace berth::node {
namespace {

using std::chrono::milliseconds;

// One run of the unit, from its launch to its end.
struct Run {
  pid_t pid = -1;
  sys::Fd pidfd;
  bool ours = true;  // our child, so that wait(2) tells its status
  Session::Clock::time_point began = Session::Clock::now();
};

// A process whose parent we are not may need a moment between its end and its status.
std::optional<int> await_foreign_status(pid_t pid, int pidfd) {
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    if (const auto status = sys::foreign_exit_status(pid, pidfd)) return sys::exit_code_of(*status);
    std::this_thread::sleep_for(milliseconds(5));
  }
  return std::nullopt;
}

class Monitor {
 public:
  explicit Monitor(MonitorTask task) : task_(std::move(task)) {}
  int run();

 private:
  Result<void> prepare();
  Result<Run> launch(bool first);
  Result<Run> take_over();
  Result<Run> begin(bool first);
  void announce(const Run& run);
  void refuse(const Error& error);
  Ending finish(Run& run);
  // Records the ending; the pause before the next run, nothing where there is none.
  Result<std::optional<milliseconds>> conclude(const Run& run, const Ending& ending);
  Result<void> live();

  MonitorTask task_;
  // Open while much is written, so that one connection serves it all; closed while the unit just runs, for
  // what it costs in memory.
  std::optional<InstanceStore> records_;
  isolate::UnitConfig config_;
  unit::Unit* unit_ = nullptr;
  std::optional<Session> session_;
  Streams streams_;
  Backoff backoff_;
};

Result<void> Monitor::prepare() {
  records_ = TRY(InstanceStore::open(task_.paths));
  config_ = TRY(records_->get(task_.id)).config;
  unit_ = &unit::unit_of(config_.unit);
  auto log = TRY(LogWriter::open(task_.paths.log_file(task_.id), {}));
  session_.emplace(TRY(Clients::listen(task_.paths.run_dir(task_.id))), std::move(log));
  return {};
}

Result<Run> Monitor::launch(bool first) {
  auto store = TRY(InstanceStore::open(task_.paths));
  TRY(store.set_starting(task_.id, first));
  streams_ = TRY(Streams::create(config_, task_.paths.run_dir(task_.id)));
  auto launched = TRY(unit_->launch(config_, task_.paths.instance(task_.id), streams_.stdio()));
  streams_.launched(std::move(launched.terminal));
  const auto start_time = TRY(sys::process_start_time(launched.pid));
  TRY(store.set_running(task_.id, launched.pid, start_time));
  return Run{.pid = launched.pid, .pidfd = std::move(launched.pidfd)};
}

Result<Run> Monitor::take_over() {
  auto store = TRY(InstanceStore::open(task_.paths));
  const Instance instance = TRY(store.get(task_.id));
  streams_ = TRY(Streams::reopen(config_, task_.paths.run_dir(task_.id)));
  Run run{.pid = instance.pid, .pidfd = TRY(sys::open_pidfd(instance.pid)), .ours = false};
  if (TRY(sys::process_start_time(instance.pid)) != instance.start_time) {
    return fail(Code::NotFound, "the unit's process has ended");
  }
  TRY(store.set_monitor(task_.id, ::getpid()));
  return run;
}

Result<Run> Monitor::begin(bool first) {
  auto run = first && task_.take_over ? take_over() : launch(first);
  if (run) return run;
  // Nothing of a failed start stays: neither processes nor a state that says otherwise.
  static_cast<void>(unit_->cleanup(config_));
  auto store = TRY(InstanceStore::open(task_.paths));
  const bool lost = task_.take_over && first;
  const Ending ending{.exit_code = lost ? std::nullopt : std::optional(exit_code_for(run.error())),
                      .reason = lost ? "its monitor was killed and nobody saw it end" : run.error().message};
  TRY(store.set_ended(task_.id, lost ? State::Exited : State::Failed, ending));
  return run;
}

void Monitor::announce(const Run& run) {
  if (!task_.starter) return;
  const std::string started = encode(Message::Started, std::to_string(run.pid));
  static_cast<void>(sys::send_message(task_.starter.get(), started));
  if (!task_.attach) return task_.starter.reset();
  session_->clients().add(std::move(task_.starter),
                          {.output = true, .input = config_.stdin_open, .lossless = true});
}

void Monitor::refuse(const Error& error) {
  if (task_.starter) {
    static_cast<void>(sys::send_message(task_.starter.get(), encode(Message::Failed, encode_error(error))));
  } else {
    log::error("{}", error.message);
  }
}

Ending Monitor::finish(Run& run) {
  Ending ending;
  if (const auto stats = unit_->stats(config_)) ending.oom_killed = stats->oom_kills > 0;
  if (const auto cleaned = unit_->cleanup(config_); !cleaned)
    log::error("clean-up: {}", cleaned.error().message);
  session_->drain();
  if (run.ours) {
    const auto status = sys::reap(run.pid, true);
    if (status && *status) ending.exit_code = sys::exit_code_of(**status);
  } else {
    ending.exit_code = await_foreign_status(run.pid, run.pidfd.get());
  }
  ending.reason = unit_->end_reason(task_.paths.instance(task_.id));
  if (!ending.exit_code) ending.reason = "its monitor was killed and nobody saw it end";
  return ending;
}

Result<std::optional<milliseconds>> Monitor::conclude(const Run& run, const Ending& ending) {
  auto store = TRY(InstanceStore::open(task_.paths));
  const Instance instance = TRY(store.get(task_.id));
  config_ = instance.config;  // renamed or updated meanwhile
  if (ending.oom_killed) TRY(store.record(task_.id, "oom", ""));
  const bool stopped = instance.stop_requested || session_->stop_requested();
  const bool again =
      should_restart(config_.restart, ending.exit_code.value_or(255), instance.restarts, stopped);
  TRY(store.together([&]() -> Result<void> {
    TRY(store.set_ended(task_.id, again ? State::Restarting : State::Exited, ending));
    const bool last = !again && config_.remove_on_exit;
    return last ? store.set_state(task_.id, State::Removing) : Result<void>();
  }));
  if (!again) return std::optional<milliseconds>{};
  return std::optional(
      backoff_.next(std::chrono::duration_cast<milliseconds>(Session::Clock::now() - run.began)));
}

Result<void> Monitor::live() {
  for (bool first = true;; first = false) {
    if (!records_) records_ = TRY(InstanceStore::open(task_.paths));
    Run run = TRY(begin(first));
    if (first) announce(run);
    records_.reset();
    session_->run(run.pidfd.get(), std::move(streams_));
    records_ = TRY(InstanceStore::open(task_.paths));
    const Ending ending = finish(run);
    const auto pause = TRY(conclude(run, ending));
    const std::string code = ending.exit_code ? std::to_string(*ending.exit_code) : "";
    if (pause) {
      session_->clients().tell(Message::Ended, code + "r");
      records_.reset();
      session_->idle(Session::Clock::now() + *pause);
      if (!session_->stop_requested()) continue;
      TRY(TRY(InstanceStore::open(task_.paths)).set_state(task_.id, State::Exited));
    }
    if (config_.remove_on_exit) TRY(remove_instance(task_.paths, config_));
    session_->clients().tell(Message::Ended, code);
    session_->flush();
    return {};
  }
}

int Monitor::run() {
  auto lived = prepare();
  if (lived) lived = live();
  if (lived) return 0;
  if (config_.remove_on_exit) static_cast<void>(remove_instance(task_.paths, config_));
  refuse(lived.error());
  return 1;
}

}  // namespace

int run_monitor(MonitorTask task) {
  ::signal(SIGPIPE, SIG_IGN);  // a workload may close its input
  if (::chdir("/") != 0) return 1;
  return Monitor(std::move(task)).run();
}

}  // namespace berth::node

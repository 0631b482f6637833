#include "node/control.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>

#include "base/json_value.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "node/attach.hpp"
#include "node/protocol.hpp"
#include "node/recovery.hpp"
#include "node/remove.hpp"
#include "sys/message_socket.hpp"
#include "sys/process.hpp"
#include "sys/userns.hpp"
#include "unit/unit.hpp"

namespace berth::node {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How long a monitor may take between an instance's end and its record of that, and a kill to take effect.
constexpr milliseconds kSettle{10000};

Failure not_active(const Instance& instance, std::string_view verb) {
  return fail(Code::FailedPrecondition,
              fmt::format("cannot {} {}: it is {}", verb, instance.config.name, state_name(instance.state)));
}

Result<sys::Fd> open_unit(const Instance& instance) {
  sys::Fd pidfd = TRY(sys::open_pidfd(instance.pid));
  if (TRY(sys::process_start_time(instance.pid)) != instance.start_time) {
    return fail(Code::NotFound, fmt::format("{} has just ended", instance.config.name));
  }
  return pidfd;
}

// The next message of a run's end; nothing when the monitor is gone or time runs out.
enum class Wait { Ended, Lost, TimedOut };

Wait await_end(int socket, std::optional<Clock::time_point> deadline) {
  const auto until = deadline.value_or(Clock::time_point::max());
  std::string buffer;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now()).count();
    if (left <= 0) return Wait::TimedOut;
    pollfd fd{socket, POLLIN, 0};
    const int count = ::poll(&fd, 1, static_cast<int>(std::min<std::int64_t>(left, INT32_MAX)));
    if (count <= 0) continue;
    if (sys::receive_message(socket, buffer) == sys::Transfer::Closed) return Wait::Lost;
    const auto message = decode(buffer);
    if (message && message->kind == Message::Ended) return Wait::Ended;
  }
}

// The exit code in the message, also of a run that will be followed by another.
Result<std::optional<int>> recorded_end(Node& node, const std::string& id) {
  auto instance = node.store.get(id);
  if (!instance && instance.error().code == Code::NotFound) return std::optional<int>{};  // --rm
  return TRY(std::move(instance)).ending.exit_code;
}

Result<void> kill_and_wait(Node& node, const Instance& instance) {
  const auto pidfd = open_unit(instance);
  if (pidfd) static_cast<void>(sys::send_signal(pidfd->get(), SIGKILL));
  if (instance.state == State::Paused) TRY(unit::unit_of(instance.config.unit).pause(instance.config, false));
  TRY_DURING(fmt::format("{} does not end", instance.config.name),
             wait_for_end(node, instance.config.id, kSettle));
  return {};
}

void tell_monitor(const Paths& paths, const std::string& id, Message message) {
  const auto socket = connect_monitor(paths, id);
  if (socket) static_cast<void>(sys::send_message(socket->get(), encode(message, "")));
}

}  // namespace

Result<Node> Node::open(const std::string& root) {
  Paths paths = TRY(Paths::of(root));
  const sys::Rootless rootless = TRY(sys::enter_rootless(paths.run));
  if (!rootless.single_user.empty()) log::warn("only one user can be told apart: {}", rootless.single_user);
  InstanceStore store = TRY(InstanceStore::open(paths));
  TRY(recover(paths, store));
  return Node{std::move(paths), std::move(store)};
}

Result<MonitorLink> start(Node& node, const Instance& instance, MonitorMode mode) {
  if (is_active(instance.state)) return not_active(instance, "start");
  sys::Fd lock = TRY(lock_instance(node.paths, instance.config.id, kSettle));
  TRY(sys::make_dir(node.paths.state_dir(instance.config.id), 0700));
  return spawn_monitor(node.paths, instance.config.id, std::move(lock), mode);
}

Result<std::optional<int>> wait_for_end(Node& node, const std::string& id,
                                        std::optional<milliseconds> timeout) {
  const auto deadline = timeout ? std::optional(Clock::now() + *timeout) : std::nullopt;
  for (;;) {
    const auto socket = connect_monitor(node.paths, id);
    const auto instance = node.store.get(id);
    if (!instance || !is_active(instance->state)) return recorded_end(node, id);
    const Wait wait = socket ? await_end(socket->get(), deadline) : Wait::Lost;
    if (wait == Wait::Ended) return recorded_end(node, id);
    if (wait == Wait::TimedOut || (deadline && Clock::now() >= *deadline)) {
      return fail(Code::DeadlineExceeded, fmt::format("still {}", state_name(instance->state)));
    }
    TRY(recover(node.paths, node.store));
  }
}

Result<void> stop(Node& node, const Instance& instance, milliseconds timeout) {
  if (!is_active(instance.state)) return {};
  TRY(node.store.request_stop(instance.config.id));
  tell_monitor(node.paths, instance.config.id, Message::Stop);
  if (const auto pidfd = open_unit(instance)) {
    static_cast<void>(sys::send_signal(pidfd->get(), instance.config.stop_signal));
    if (instance.state == State::Paused)
      TRY(unit::unit_of(instance.config.unit).pause(instance.config, false));
  }
  const auto ended = wait_for_end(node, instance.config.id, timeout);
  if (ended) return {};
  if (ended.error().code != Code::DeadlineExceeded) return fail(ended.error());
  return kill_and_wait(node, instance);
}

Result<void> send_signal(Node& node, const Instance& instance, int signal) {
  if (instance.state != State::Running && instance.state != State::Paused)
    return not_active(instance, "signal");
  if (signal == SIGKILL) TRY(node.store.request_stop(instance.config.id));
  const sys::Fd pidfd = TRY(open_unit(instance));
  TRY(sys::send_signal(pidfd.get(), signal));
  if (signal == SIGKILL) TRY(kill_and_wait(node, instance));
  return node.store.record(instance.config.id, "kill", fmt::format("signal={}", signal));
}

Result<void> set_paused(Node& node, const Instance& instance, bool paused) {
  const State to = paused ? State::Paused : State::Running;
  if (!may_follow(instance.state, to) ||
      (instance.state != State::Running && instance.state != State::Paused)) {
    return not_active(instance, paused ? "pause" : "unpause");
  }
  TRY(unit::unit_of(instance.config.unit).pause(instance.config, paused));
  return node.store.set_state(instance.config.id, to);
}

Result<void> remove(Node& node, const Instance& instance, bool force) {
  const std::string& id = instance.config.id;
  if (is_active(instance.state)) {
    if (!force) {
      return fail(Code::FailedPrecondition, fmt::format("{} is {}: stop it first, or use --force",
                                                        instance.config.name, state_name(instance.state)));
    }
    TRY(node.store.request_stop(id));
    tell_monitor(node.paths, id, Message::Stop);
    TRY(kill_and_wait(node, instance));
  }
  const sys::Fd lock = TRY(lock_instance(node.paths, id, kSettle));
  auto found = node.store.get(id);
  if (!found && found.error().code == Code::NotFound)
    return sys::remove_tree(node.paths.run_dir(id));  // --rm
  return remove_instance(node.paths, TRY(std::move(found)).config);
}

Result<void> update(Node& node, const Instance& instance, const sys::Resources& resources,
                    const std::optional<isolate::RestartPolicy>& restart) {
  isolate::UnitConfig config = instance.config;
  Json merged = config.resources.to_json();
  merged.merge_patch(resources.to_json());
  config.resources = TRY(sys::Resources::from_json(JsonView(merged, "resources")));
  if (restart) config.restart = *restart;
  unit::Unit& unit = unit::unit_of(config.unit);
  TRY(unit.check(config));
  if (instance.state == State::Running || instance.state == State::Paused)
    TRY(unit.update(config, resources));
  return node.store.replace_config(config, "update");
}

}  // namespace berth::node

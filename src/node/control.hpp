// What people do to instances: start, stop, signal, pause, remove, wait. Works through the instance's monitor
// where there is one and without it where that was killed; recover() has been called before.
#pragma once

#include <chrono>
#include <optional>

#include "node/instance_store.hpp"
#include "node/monitor/spawn.hpp"

namespace berth::node {

// A node as one command uses it.
struct Node {
  Paths paths;
  InstanceStore store;

  // Opens the state below `root` ("": the user's default) and puts right what crashed before.
  static Result<Node> open(const std::string& root);
};

// FailedPrecondition where it runs already. The error of a failed launch otherwise.
Result<MonitorLink> start(Node& node, const Instance& instance, MonitorMode mode);

// Sends its stop signal, after `timeout` SIGKILL; returns when it has ended. An instance that is not active
// is left alone.
Result<void> stop(Node& node, const Instance& instance, std::chrono::milliseconds timeout);

// Sends a signal to the unit's first process. SIGKILL also rests the restart policy.
Result<void> send_signal(Node& node, const Instance& instance, int signal);

Result<void> set_paused(Node& node, const Instance& instance, bool paused);

// Waits for the present run to end, for ever where `timeout` is absent. Its exit code, nothing where unknown.
// DeadlineExceeded when time runs out.
Result<std::optional<int>> wait_for_end(Node& node, const std::string& id,
                                        std::optional<std::chrono::milliseconds> timeout);

// An active one is refused, or killed first with `force`.
Result<void> remove(Node& node, const Instance& instance, bool force);

// Changes limits, at once where the instance runs.
Result<void> update(Node& node, const Instance& instance, const sys::Resources& resources,
                    const std::optional<isolate::RestartPolicy>& restart);

}  // namespace berth::node

#include "oci/run/events.hpp"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <climits>

#include "base/json_value.hpp"
#include "isolate/cgroup.hpp"
#include "isolate/runtime_stats.hpp"
#include "oci/state/state.hpp"
#include "sys/oom_watch.hpp"
#include "sys/process.hpp"

namespace berth::oci {
namespace {

using Clock = std::chrono::steady_clock;

struct Watched {
  State state;
  std::unique_ptr<sys::Cgroup> group;
};

Result<Watched> look_at(const std::string& root, const std::string& id) {
  const ContainerDir dir = TRY(ContainerDir::open(root, id));
  State state = TRY(State::load(dir));
  if (TRY(status_of(dir, state)) == Status::Stopped)
    return fail(Code::FailedPrecondition, fmt::format("container not running: {}", id));
  auto group = state.cgroup.empty() ? nullptr : TRY(isolate::find_cgroup_at(state.cgroup));
  if (!group)
    return fail(Code::FailedPrecondition,
                fmt::format("cannot tell events of {}: it has no control group", id));
  return Watched{std::move(state), std::move(group)};
}

std::string line(const Json& event) {
  return event.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<std::string> usage_line(const Watched& watched) {
  return line(
      {{"type", "stats"}, {"id", watched.state.id}, {"data", TRY(isolate::runtime_stats(*watched.group))}});
}

// The time until `due` as poll(2) takes it: rounded up, never negative.
int milliseconds_until(Clock::time_point due) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, INT_MAX));
}

class Stream {
 public:
  Stream(const Watched& watched, std::chrono::milliseconds interval, const TakeEvent& take)
      : watched_(watched), interval_(interval), take_(take), due_(Clock::now() + interval) {}

  Result<void> run() {
    const sys::Fd process = TRY(sys::open_pidfd(watched_.state.pid));
    if (!is_alive(watched_.state)) return {};  // the number may be another's by now
    auto oom = TRY(sys::OomWatch::open(*watched_.group));
    while (true) {
      std::array<pollfd, 2> items = {
          {{process.get(), POLLIN, 0}, {oom ? oom->fd() : -1, oom ? oom->events() : short{0}, 0}}};
      if (::poll(items.data(), items.size(), milliseconds_until(due_)) < 0 && errno != EINTR)
        return fail_errno("cannot wait for events");
      // What killed the container is told before its end.
      const bool out_of_memory = items[1].revents != 0 && TRY(oom->happened());
      if (out_of_memory && !take_(line({{"type", "oom"}, {"id", watched_.state.id}}))) return {};
      if (items[0].revents != 0) return {};
      if (Clock::now() >= due_ && !TRY(tell_usage())) return {};
    }
  }

 private:
  Result<bool> tell_usage() {
    due_ = Clock::now() + interval_;
    auto usage = usage_line(watched_);
    if (!usage && !is_alive(watched_.state)) return false;  // the group went under our hands
    return take_(TRY(std::move(usage)));
  }

  const Watched& watched_;
  std::chrono::milliseconds interval_;
  const TakeEvent& take_;
  Clock::time_point due_;
};

}  // namespace

Result<std::string> describe_usage(const std::string& root, const std::string& id) {
  return usage_line(TRY(look_at(root, id)));
}

Result<void> follow_events(const std::string& root, const std::string& id, std::chrono::milliseconds interval,
                           const TakeEvent& take) {
  const Watched watched = TRY(look_at(root, id));
  return Stream(watched, interval, take).run();
}

}  // namespace berth::oci

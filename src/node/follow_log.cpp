#include "node/follow_log.hpp"

#include <poll.h>

#include <array>
#include <chrono>

#include "base/text.hpp"
#include "node/attach.hpp"
#include "node/recovery.hpp"
#include "sys/watch.hpp"

namespace berth::node {
namespace {

// True once nothing more will be written.
Result<bool> has_ended(Node& node, const std::string& id) {
  const auto instance = node.store.get(id);
  if (!instance && instance.error().code != Code::NotFound) return fail(instance.error());
  return !instance || !is_active(instance->state);
}

}  // namespace

Result<void> print_log(Node& node, const std::string& id, const LogQuery& query, const LogSink& sink) {
  TRY(read_log(node.paths.log_file(id), query, sink));
  return {};
}

Result<void> follow_log(Node& node, const std::string& id, const LogQuery& query, const LogSink& sink) {
  constexpr int kAtLeastEveryMs = 500;  // a monitor that is killed tells nobody
  sys::DirWatch watch = TRY(sys::DirWatch::open(node.paths.state_dir(id)));
  LogReader reader = TRY(read_log(node.paths.log_file(id), query, sink));
  const auto bounded = [&](const LogEntry& entry) {
    return query.until.empty() || entry.timestamp <= query.until ? sink(entry) : Result<void>();
  };
  sys::Fd monitor;
  for (;;) {
    const bool ended = TRY(has_ended(node, id));  // before the last look at the file, not after it
    TRY(reader.read(bounded));
    if (ended || (!query.until.empty() && format_rfc3339(std::chrono::system_clock::now()) > query.until))
      return {};
    if (!monitor) {
      auto connected = connect_monitor(node.paths, id);
      if (connected)
        monitor = *std::move(connected);
      else
        TRY(recover(node.paths, node.store));
    }
    std::array<pollfd, 2> fds = {pollfd{watch.fd(), POLLIN, 0}, pollfd{monitor.get(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), kAtLeastEveryMs);
    watch.clear();
    if (fds[1].revents != 0) monitor.reset();
  }
}

}  // namespace berth::node

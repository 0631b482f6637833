#include "node/foreground.hpp"

#include <fmt/core.h>

#include <chrono>
#include <optional>
#include <thread>

#include "node/protocol.hpp"
#include "node/recovery.hpp"
#include "sys/message_socket.hpp"

namespace berth::node {
namespace {

constexpr int kMonitorsTried = 5;

Result<sys::Fd> join(const Paths& paths, const std::string& id, const AttachOptions& options) {
  sys::Fd socket = TRY(connect_monitor(paths, id));
  const AttachWish wish{.output = true, .input = options.input, .lossless = options.lossless};
  if (sys::send_message(socket.get(), encode(Message::Attach, encode_attach(wish))) != sys::Transfer::Done) {
    return fail(Code::Unavailable, fmt::format("the monitor of {} does not answer", id.substr(0, 12)));
  }
  return socket;
}

// Who to go on with after a monitor's death: its successor's socket, or nothing where the instance has ended.
Result<std::optional<sys::Fd>> join_successor(Node& node, const std::string& id, const AttachOptions& options,
                                              Ending& ending) {
  constexpr int kTries = 100;
  constexpr std::chrono::milliseconds kPause{20};
  for (int i = 1;; ++i) {
    // The dead one's lock may be let go a moment after its socket, and another berth may be the one that puts
    // the instance right: then its new monitor needs a while before it listens.
    TRY(recover(node.paths, node.store));
    const Instance instance = TRY_DURING("its monitor was killed", node.store.get(id));
    ending = instance.ending;
    if (!is_active(instance.state)) return std::optional<sys::Fd>();
    auto joined = join(node.paths, id, options);
    if (joined) return std::optional(*std::move(joined));
    if (i == kTries) return fail(std::move(joined).error());
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

Result<AttachResult> stay_attached(Node& node, const std::string& id, sys::Fd socket,
                                   const AttachOptions& options) {
  for (int i = 0; i < kMonitorsTried; ++i) {
    const AttachResult result = TRY(attach(socket, options));
    if (result.end != AttachEnd::Lost) return result;
    Ending ending;
    auto next = TRY(join_successor(node, id, options, ending));
    if (!next) return AttachResult{AttachEnd::Ended, ending.exit_code};
    socket = *std::move(next);
  }
  return fail(Code::Unavailable, "its monitor is killed again and again: berth logs shows what it wrote");
}

Result<AttachResult> attach_to(Node& node, const std::string& id, const AttachOptions& options) {
  return stay_attached(node, id, TRY(join(node.paths, id, options)), options);
}

}  // namespace berth::node

#include "node/monitor/session.hpp"

#include <poll.h>

#include <algorithm>
#include <array>

#include "base/log.hpp"
#include "base/text.hpp"
#include "sys/memory.hpp"
#include "sys/process.hpp"

namespace berth::node {
namespace {

constexpr std::size_t kChunkBytes = 32 << 10;
// A workload that is quiet for so long is let alone with as little memory as possible.
constexpr std::chrono::milliseconds kQuiet{300};

int milliseconds_until(Session::Clock::time_point when) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - Session::Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3600 * 1000));
}

bool ready(const pollfd& fd) { return fd.fd >= 0 && fd.revents != 0; }

}  // namespace

void Session::run(int pidfd, Streams streams) {
  streams_ = std::move(streams);
  workload_ = pidfd;
  ended_ = false;
  input_.clear();
  input_ends_ = false;
  bool quiet = false;
  while (!ended_) {
    const auto until = quiet ? std::nullopt : std::optional(Clock::now() + kQuiet);
    quiet = !step(pidfd, until);
    if (quiet) sys::release_idle_memory();
  }
  workload_ = -1;
}

void Session::drain() {
  while (!streams_.ended()) {
    if (clients_.blocked()) {
      step(-1, std::nullopt);
      continue;
    }
    const bool more_out = pump(Stream::Stdout);
    if (!clients_.blocked() && !pump(Stream::Stderr) && !more_out)
      break;  // a stray holder may keep the other end open
  }
  streams_ = Streams();
}

void Session::idle(Clock::time_point until) {
  while (!stop_requested_ && step(-1, until)) {
  }
}

void Session::flush() {
  while (clients_.blocked()) step(-1, std::nullopt);
}

bool Session::step(int pidfd, std::optional<Clock::time_point> until) {
  const bool readable = !clients_.blocked();
  std::vector<pollfd> fds = {
      {pidfd, POLLIN, 0},
      {readable ? streams_.output(Stream::Stdout) : -1, POLLIN, 0},
      {readable ? streams_.output(Stream::Stderr) : -1, POLLIN, 0},
      {input_.empty() ? -1 : streams_.input(), POLLOUT, 0},
  };
  const std::size_t own = fds.size();
  clients_.prepare(fds, input_.empty());
  auto wake = clients_.deadline();
  if (until && (!wake || *until < *wake)) wake = until;
  const int count = ::poll(fds.data(), fds.size(), wake ? milliseconds_until(*wake) : -1);
  clients_.drop_stalled();
  if (count <= 0) return count < 0 || !until || Clock::now() < *until;
  if (ready(fds[3])) streams_.write(input_);
  if (input_.empty() && input_ends_) end_input();
  if (ready(fds[1])) pump(Stream::Stdout);
  if (ready(fds[2]) && !clients_.blocked()) pump(Stream::Stderr);
  clients_.handle(std::span(fds).subspan(own),
                  [this](Message kind, std::string_view payload) { handle(kind, payload); });
  ended_ = ended_ || ready(fds[0]);
  return true;
}

void Session::end_input() {
  input_ends_ = false;
  streams_.close_input();
}

bool Session::pump(Stream stream) {
  std::array<char, kChunkBytes> buffer;
  const std::string_view bytes = streams_.read(stream, buffer);
  if (bytes.empty()) return false;
  write_log(stream, bytes);
  clients_.output(stream == Stream::Stdout ? Message::Stdout : Message::Stderr, bytes);
  return true;
}

void Session::write_log(Stream stream, std::string_view bytes) {
  const auto written = log_.write(stream, bytes);
  if (!written && !log_failed_) log::error("output is not logged any more: {}", written.error().message);
  log_failed_ = !written;
}

void Session::handle(Message kind, std::string_view payload) {
  switch (kind) {
    case Message::Stdin:
      input_.append(payload);
      streams_.write(input_);
      return;
    case Message::StdinEnd:
      input_ends_ = true;
      if (input_.empty()) end_input();
      return;
    case Message::Resize:
      if (const auto size = decode_size(payload)) streams_.resize(*size);
      return;
    case Message::Signal:
      if (const auto number = parse_i64(payload); number && workload_ >= 0) {
        static_cast<void>(sys::send_signal(workload_, static_cast<int>(*number)));
      }
      return;
    case Message::Stop:
      stop_requested_ = true;
      return;
    default:
      return;
  }
}

}  // namespace berth::node

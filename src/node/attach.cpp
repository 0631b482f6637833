#include "node/attach.hpp"

#include <poll.h>
#include <unistd.h>

#include <array>

#include "base/text.hpp"
#include "node/detach_keys.hpp"
#include "node/protocol.hpp"
#include "node/signal_watch.hpp"
#include "sys/message_socket.hpp"
#include "sys/terminal.hpp"
#include "sys/tty.hpp"

namespace berth::node {
namespace {

constexpr std::size_t kInputBytes = 16 << 10;

class Session {
 public:
  Session(int socket, const AttachOptions& options, SignalWatch signals)
      : socket_(socket),
        options_(options),
        keys_(options.tty ? options.detach_keys : ""),
        signals_(std::move(signals)) {}
  Result<AttachResult> run();

 private:
  void on_signal();
  void on_input();
  Result<void> on_message();
  void send_pending();
  void send_size();
  int socket_;
  const AttachOptions& options_;
  DetachKeys keys_;
  SignalWatch signals_;
  std::string pending_;  // an encoded message that the monitor has not taken yet
  bool input_open_ = false;
  bool detach_ = false;
  std::optional<AttachResult> result_;
};

void Session::on_signal() {
  for (const int number : signals_.take()) {
    if (number == SIGWINCH)
      send_size();
    else
      static_cast<void>(sys::send_message(socket_, encode(Message::Signal, std::to_string(number))));
  }
}

void Session::send_size() {
  if (!options_.tty) return;
  const auto size = sys::window_size(STDIN_FILENO);
  if (size.rows > 0)
    static_cast<void>(sys::send_message(socket_, encode(Message::Resize, encode_size(size))));
}

void Session::on_input() {
  std::array<char, kInputBytes> buffer;
  const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (count <= 0) {
    input_open_ = false;
    pending_ = encode(Message::StdinEnd, "");
  } else {
    std::string passed;
    detach_ = keys_.filter({buffer.data(), static_cast<std::size_t>(count)}, passed);
    if (!passed.empty()) pending_ = encode(Message::Stdin, passed);
  }
  send_pending();
}

void Session::send_pending() {
  if (!pending_.empty() && sys::send_message(socket_, pending_) != sys::Transfer::WouldBlock)
    pending_.clear();
}

Result<void> Session::on_message() {
  std::string buffer;
  const auto got = sys::receive_message(socket_, buffer);
  if (got == sys::Transfer::WouldBlock) return {};
  if (got == sys::Transfer::Closed) {
    result_ = AttachResult{};
    return {};
  }
  const auto message = decode(buffer);
  if (!message) return {};
  if (message->kind == Message::Stdout) return sys::write_all(STDOUT_FILENO, message->payload);
  if (message->kind == Message::Stderr) return sys::write_all(STDERR_FILENO, message->payload);
  if (message->kind == Message::Ended && !message->payload.ends_with('r')) {
    const auto code = parse_i64(message->payload);
    result_ = AttachResult{AttachEnd::Ended, code ? std::optional(static_cast<int>(*code)) : std::nullopt};
  }
  return {};
}

Result<AttachResult> Session::run() {
  std::optional<sys::RawMode> raw;
  if (options_.tty && options_.input && sys::is_terminal(STDIN_FILENO))
    raw.emplace(TRY(sys::RawMode::enter(STDIN_FILENO)));
  TRY(sys::set_nonblocking(socket_, true));
  send_size();
  input_open_ = options_.input;
  while (!result_ && !detach_) {
    const bool read_input = input_open_ && pending_.empty();
    const auto events = POLLIN | (pending_.empty() ? 0 : POLLOUT);
    std::array<pollfd, 3> fds = {pollfd{socket_, static_cast<short>(events), 0},
                                 pollfd{signals_.fd(), POLLIN, 0},
                                 pollfd{read_input ? STDIN_FILENO : -1, POLLIN, 0}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR)
      return fail_errno("cannot wait for the instance");
    if (fds[1].revents != 0) on_signal();
    if ((fds[0].revents & POLLOUT) != 0) send_pending();
    if (fds[2].revents != 0) on_input();
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) TRY(on_message());
  }
  return result_.value_or(AttachResult{.end = AttachEnd::Detached, .exit_code = {}});
}

}  // namespace

Result<AttachResult> attach(const sys::Fd& socket, const AttachOptions& options) {
  return Session(socket.get(), options, TRY(SignalWatch::start(options.signals))).run();
}

Result<sys::Fd> connect_monitor(const Paths& paths, const std::string& id) {
  return sys::connect_messages(paths.run_dir(id), std::string(kAttachSocket));
}

}  // namespace berth::node

#include "sys/dbus.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <array>

#include "base/text.hpp"
#include "sys/stream_socket.hpp"

namespace berth::sys {
namespace {

constexpr int kTimeoutMs = 30000;  // for each message
constexpr std::size_t kMaxLine = 1024;
constexpr std::size_t kMaxKeptSignals = 256;

DBusMessage hello() {
  DBusMessage message;
  message.path = "/org/freedesktop/DBus";
  message.interface = message.destination = "org.freedesktop.DBus";
  message.member = "Hello";
  return message;
}

}  // namespace

Result<DBusConnection> DBusConnection::open(const std::string& socket_path, bool bus) {
  DBusConnection connection(TRY(connect_stream(socket_path)));
  TRY_DURING(fmt::format("cannot speak D-Bus on {}", socket_path), connection.authenticate());
  if (bus) TRY(connection.call(hello()));
  return connection;
}

// "EXTERNAL": the socket tells the peer who we are (D-Bus Specification, "Authentication Protocol").
Result<void> DBusConnection::authenticate() {
  std::string begin(1, '\0');
  // BEGIN goes along at once, as systemd's own clients do it: its server does not look at what it read
  // together with a later BEGIN until more comes.
  begin += fmt::format("AUTH EXTERNAL {}\r\nBEGIN\r\n", to_hex(std::to_string(::geteuid())));
  TRY(write_all(socket_.get(), begin));
  const std::string answer = TRY(read_line());
  if (!answer.starts_with("OK "))
    return fail(Code::Unauthenticated, fmt::format("user {} is not let in ({})", ::geteuid(), answer));
  return {};
}

Result<std::string> DBusConnection::read_line() {
  std::string line;
  while (!line.ends_with("\r\n")) {
    if (line.size() > kMaxLine) return fail(Code::InvalidArgument, "the peer does not speak D-Bus");
    line += TRY(receive_bytes(1, kTimeoutMs));
  }
  return line.substr(0, line.size() - 2);
}

Result<std::string> DBusConnection::receive_bytes(std::size_t count, int timeout_ms) {
  std::string bytes;
  std::array<char, 4096> buffer;
  while (bytes.size() < count) {
    pollfd item{socket_.get(), POLLIN, 0};
    const int ready = ::poll(&item, 1, timeout_ms);
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0)
      return fail(Code::DeadlineExceeded, fmt::format("no answer within {} s", timeout_ms / 1000));
    const std::size_t wanted = std::min(count - bytes.size(), buffer.size());
    const std::size_t got = TRY(read_some(socket_.get(), std::span(buffer).first(wanted)));
    if (got == 0) return fail(Code::Unavailable, "the peer hung up");
    bytes.append(buffer.data(), got);
  }
  return bytes;
}

Result<DBusMessage> DBusConnection::receive(int timeout_ms) {
  std::string bytes = TRY(receive_bytes(kDBusFixedHeader, timeout_ms));
  bytes += TRY(receive_bytes(TRY(message_bytes(bytes)) - bytes.size(), timeout_ms));
  return decode(bytes);
}

Result<DBusMessage> DBusConnection::call(DBusMessage call) {
  call.serial = ++last_serial_;
  TRY_DURING(fmt::format("cannot call {}", call.member), write_all(socket_.get(), encode(call)));
  for (;;) {
    DBusMessage answer = TRY_DURING(fmt::format("cannot call {}", call.member), receive(kTimeoutMs));
    if (answer.type == DBusType::Signal && signals_.size() < kMaxKeptSignals) signals_.push_back(answer);
    if (answer.reply_serial != call.serial || answer.type == DBusType::Signal) continue;
    if (answer.type == DBusType::Reply) return answer;
    std::string text = answer.error_name;
    if (answer.signature.starts_with("s")) text += ": " + TRY(DBusReader(answer.body).string());
    return fail(Code::FailedPrecondition, fmt::format("{} was refused: {}", call.member, text));
  }
}

Result<DBusMessage> DBusConnection::wait_for_signal(std::string_view member,
                                                    const std::function<bool(const DBusMessage&)>& wanted) {
  const auto is_it = [&](const DBusMessage& message) {
    return message.type == DBusType::Signal && message.member == member && wanted(message);
  };
  for (const DBusMessage& kept : signals_) {
    if (is_it(kept)) return kept;
  }
  for (;;) {
    DBusMessage message = TRY_DURING(fmt::format("cannot wait for {}", member), receive(kTimeoutMs));
    if (is_it(message)) return message;
  }
}

}  // namespace berth::sys

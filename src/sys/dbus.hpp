// A connection to a D-Bus peer over an AF_UNIX socket: method calls and signals, nothing else.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/dbus_message.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

class DBusConnection {
 public:
  // Authenticates as this process's user. `bus`: a message bus, which wants to be greeted, and not the
  // service itself. Unavailable where nobody listens.
  static Result<DBusConnection> open(const std::string& socket_path, bool bus);

  // The reply to `call`, within 30 s. What the peer answers with an error is FailedPrecondition with its
  // words; signals that come meanwhile are kept.
  Result<DBusMessage> call(DBusMessage call);
  // The first signal of that member for which `wanted` holds, within 30 s.
  Result<DBusMessage> wait_for_signal(std::string_view member,
                                      const std::function<bool(const DBusMessage&)>& wanted);

 private:
  explicit DBusConnection(Fd socket) : socket_(std::move(socket)) {}
  Result<void> authenticate();
  Result<std::string> read_line();
  Result<DBusMessage> receive(int timeout_ms);
  Result<std::string> receive_bytes(std::size_t count, int timeout_ms);

  Fd socket_;
  std::uint32_t last_serial_ = 0;
  std::vector<DBusMessage> signals_;
};

}  // namespace berth::sys

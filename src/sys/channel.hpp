// A message channel between a launcher and its child: small fixed records, each with at most one descriptor.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

struct ChannelMessage {
  std::int32_t kind = 0;
  std::int32_t first = 0;
  std::int32_t second = 0;
};

struct ReceivedMessage {
  ChannelMessage message;
  Fd fd;  // empty where none came along
};

// Between fork and exec: 0 or errno, no allocation. `fd` -1 sends none. A SOCK_SEQPACKET socket.
int send_message(int socket, const ChannelMessage& message, int fd = -1) noexcept;
int receive_message(int socket, ChannelMessage& message, int* fd) noexcept;  // ENOTCONN at the end

// Waits for somebody to connect to a blocking listener; the connection is close-on-exec. 0 or errno.
int accept_connection(int listener, int* connection) noexcept;

// Nothing at the end: every other end has been closed.
Result<std::optional<ReceivedMessage>> receive_message(int socket);

}  // namespace berth::sys

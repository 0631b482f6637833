// AF_UNIX sockets that keep message boundaries (SOCK_SEQPACKET), named by a path of any length.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

inline constexpr std::size_t kMaxMessageBytes = 64 << 10;

// A listening socket `directory`/`name` (an older one is replaced), reachable by its owner only;
// non-blocking.
Result<Fd> listen_messages(const std::string& directory, const std::string& name);
// NotFound or Unavailable where nobody listens.
Result<Fd> connect_messages(const std::string& directory, const std::string& name);
// Nothing where nobody is waiting. The new socket is non-blocking.
Result<std::optional<Fd>> accept_messages(int listener);

enum class Transfer { Done, WouldBlock, Closed };
// One message; never raises SIGPIPE. WouldBlock only on a non-blocking socket.
Transfer send_message(int socket, std::string_view message) noexcept;
// One message into `buffer` (resized to it; longer ones are cut at kMaxMessageBytes).
Transfer receive_message(int socket, std::string& buffer);
// As above; `descriptor` becomes the one that came along (SCM_RIGHTS), close-on-exec, or none.
Transfer receive_message(int socket, std::string& buffer, Fd& descriptor);

Result<void> set_nonblocking(int fd, bool on);

}  // namespace berth::sys

#include "sys/message_socket.hpp"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace berth::sys {
namespace {

// sun_path holds 107 bytes; a directory's descriptor makes the path short, however deep the state lies.
Result<sockaddr_un> address_below(int directory, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory, name);
  if (path.size() >= sizeof(address.sun_path))
    return fail(Code::InvalidArgument, fmt::format("{}: too long", name));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Result<Fd> message_socket(int flags) {
  Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  if (!fd) return fail_errno("cannot make a socket");
  return fd;
}

}  // namespace

Result<Fd> listen_messages(const std::string& directory, const std::string& name) {
  const Fd dir = TRY(open(directory, O_PATH | O_DIRECTORY));
  const sockaddr_un address = TRY(address_below(dir.get(), name));
  if (::unlinkat(dir.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
    return fail_errno(fmt::format("cannot replace {}/{}", directory, name));
  }
  Fd fd = TRY(message_socket(SOCK_NONBLOCK));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::fchmodat(dir.get(), name.c_str(), 0600, 0) != 0 || ::listen(fd.get(), 16) != 0) {
    return fail_errno(fmt::format("cannot listen on {}/{}", directory, name));
  }
  return fd;
}

Result<Fd> connect_messages(const std::string& directory, const std::string& name) {
  const Fd dir = TRY(open(directory, O_PATH | O_DIRECTORY));
  const sockaddr_un address = TRY(address_below(dir.get(), name));
  Fd fd = TRY(message_socket(0));
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINTR) return fail_errno(fmt::format("cannot connect to {}/{}", directory, name));
  }
  return fd;
}

Result<std::optional<Fd>> accept_messages(int listener) {
  Fd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (fd) return std::optional<Fd>(std::move(fd));
  if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return std::optional<Fd>{};
  return fail_errno("cannot accept a connection");
}

Transfer send_message(int socket, std::string_view message) noexcept {
  for (;;) {
    if (::send(socket, message.data(), message.size(), MSG_NOSIGNAL) >= 0) return Transfer::Done;
    if (errno == EAGAIN) return Transfer::WouldBlock;
    if (errno != EINTR) return Transfer::Closed;
  }
}

Transfer receive_message(int socket, std::string& buffer) {
  buffer.resize(kMaxMessageBytes);
  for (;;) {
    const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return Transfer::WouldBlock;
    if (count <= 0) return Transfer::Closed;
    buffer.resize(static_cast<std::size_t>(count));
    return Transfer::Done;
  }
}

Transfer receive_message(int socket, std::string& buffer, Fd& descriptor) {
  buffer.resize(kMaxMessageBytes);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec part{buffer.data(), buffer.size()};
  for (;;) {
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = CMSG_LEN(sizeof(int));  // not its padding too, or a second one would fit in
    const ssize_t count = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return Transfer::WouldBlock;
    if (count < 0) return Transfer::Closed;
    descriptor.reset();
    const cmsghdr* rights = CMSG_FIRSTHDR(&header);
    if (rights != nullptr && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
      descriptor = Fd(fd);
    }
    if (count == 0) return Transfer::Closed;
    buffer.resize(static_cast<std::size_t>(count));
    return Transfer::Done;
  }
}

Result<void> set_nonblocking(int fd, bool on) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) != 0) {
    return fail_errno("cannot change a descriptor's mode");
  }
  return {};
}

}  // namespace berth::sys

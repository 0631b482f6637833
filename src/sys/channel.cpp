#include "sys/channel.hpp"

#include <sys/socket.h>

#include <cstring>

namespace berth::sys {

int send_message(int socket, const ChannelMessage& message, int fd) noexcept {
  ChannelMessage copy = message;
  iovec part{&copy, sizeof copy};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (fd >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  for (;;) {
    if (::sendmsg(socket, &header, MSG_NOSIGNAL) >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

int receive_message(int socket, ChannelMessage& message, int* fd) noexcept {
  iovec part{&message, sizeof message};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  ssize_t count = 0;
  do {
    count = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (count < 0 && errno == EINTR);
  if (count < 0) return errno;
  const cmsghdr* rights = CMSG_FIRSTHDR(&header);
  if (rights != nullptr && rights->cmsg_level == SOL_SOCKET && rights->cmsg_type == SCM_RIGHTS &&
      fd != nullptr) {
    std::memcpy(fd, CMSG_DATA(rights), sizeof *fd);
  }
  if (count == 0) return ENOTCONN;
  return count == static_cast<ssize_t>(sizeof message) ? 0 : EPROTO;
}

int accept_connection(int listener, int* connection) noexcept {
  for (;;) {
    *connection = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (*connection >= 0) return 0;
    if (errno != EINTR && errno != ECONNABORTED) return errno;
  }
}

Result<std::optional<ReceivedMessage>> receive_message(int socket) {
  ReceivedMessage received;
  int fd = -1;
  const int error = receive_message(socket, received.message, &fd);
  received.fd = Fd(fd);
  if (error == ENOTCONN || error == ECONNRESET) return std::optional<ReceivedMessage>();
  if (error != 0) return fail_errno("cannot hear from the starting process", error);
  return std::optional<ReceivedMessage>(std::move(received));
}

}  // namespace berth::sys

#include "sys/stream_socket.hpp"

#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace berth::sys {
namespace {

constexpr std::size_t kMaxDescriptors = 16;

}  // namespace

Result<Fd> connect_stream(const std::string& path) {
  // sun_path holds 107 bytes; through its descriptor a socket's path is short.
  const Fd place = TRY_DURING("cannot connect to a socket", open(path, O_PATH));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = fmt::format("/proc/self/fd/{}", place.get());
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("cannot make a socket");
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ECONNREFUSED) return fail(Code::Unavailable, fmt::format("nobody listens on {}", path));
    if (errno != EINTR) return fail_errno(fmt::format("cannot connect to {}", path));
  }
  return fd;
}

Result<Fd> listen_stream(const std::string& directory, const std::string& name) {
  const Fd place = TRY(open(directory, O_PATH | O_DIRECTORY));
  if (::unlinkat(place.get(), name.c_str(), 0) != 0 && errno != ENOENT)
    return fail_errno(fmt::format("cannot replace {}/{}", directory, name));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/{}", place.get(), name);
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::InvalidArgument, fmt::format("{}: too long", name));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("cannot make a socket");
  constexpr int kBacklog = 16;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::fchmodat(place.get(), name.c_str(), 0600, 0) != 0 || ::listen(fd.get(), kBacklog) != 0)
    return fail_errno(fmt::format("cannot listen on {}/{}", directory, name));
  return fd;
}

Result<void> send_with_descriptors(int socket, std::string_view data, std::span<const int> descriptors) {
  BERTH_ASSERT(!data.empty() && descriptors.size() <= kMaxDescriptors);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxDescriptors)> control{};
  iovec part{const_cast<char*>(data.data()), data.size()};  // sendmsg(2) only reads it
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!descriptors.empty()) {
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t sent = -1;
  do {
    sent = ::sendmsg(socket, &header, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail_errno("cannot send a descriptor");
  data.remove_prefix(static_cast<std::size_t>(sent));
  while (!data.empty()) {
    sent = ::send(socket, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EINTR) return fail_errno("cannot send to a socket");
    if (sent > 0) data.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

}  // namespace berth::sys

#include "sys/vsock.hpp"

#include <fmt/core.h>
#include <linux/vm_sockets.h>
#include <sys/socket.h>

namespace berth::sys {
namespace {

sockaddr_vm address_of(std::uint32_t cid, std::uint32_t port) {
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = cid;
  address.svm_port = port;
  return address;
}

}  // namespace

Result<Fd> connect_vsock(std::uint32_t cid, std::uint32_t port) {
  Fd fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("cannot make a vsock socket");
  const sockaddr_vm address = address_of(cid, port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno(fmt::format("cannot connect to port {} of vsock {}", port, cid));
  return fd;
}

Result<Fd> listen_vsock(std::uint32_t port) {
  Fd fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("cannot make a vsock socket");
  const sockaddr_vm address = address_of(VMADDR_CID_ANY, port);
  constexpr int kBacklog = 16;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), kBacklog) != 0)
    return fail_errno(fmt::format("cannot listen on vsock port {}", port));
  return fd;
}

Result<std::optional<Fd>> accept_vsock(int listener) {
  const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (accepted >= 0) return std::optional<Fd>(Fd(accepted));
  if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return std::optional<Fd>{};
  return fail_errno("cannot accept a vsock connection");
}

}  // namespace berth::sys

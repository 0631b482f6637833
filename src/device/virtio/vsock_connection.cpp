#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "device/virtio/vsock.hpp"

namespace berth::device {
namespace {

bool is_transient(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

bool VsockConnection::take(std::string_view bytes) {
  if (to_host_.size() + bytes.size() > kBufferBytes) return false;
  received_ += static_cast<std::uint32_t>(bytes.size());
  to_host_.append(bytes);
  write_out();
  return true;
}

void VsockConnection::learn_credit(const VsockHeader& header) {
  peer_buffer_ = header.buffer_bytes;
  peer_forwarded_ = header.forwarded;
}

void VsockConnection::finish() { stage_ = to_host_.empty() ? Stage::Closed : Stage::Closing; }

void VsockConnection::write_out() {
  while (!to_host_.empty() && stage_ != Stage::Closed) {
    const ssize_t count =
        ::send(stream_.get(), to_host_.data(), to_host_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && is_transient(errno)) return;
    if (count < 0) return close();
    to_host_.erase(0, static_cast<std::size_t>(count));
    forwarded_ += static_cast<std::uint32_t>(count);
  }
  if (stage_ == Stage::Closing) close();
}

std::size_t VsockConnection::read(std::span<char> buffer) {
  const std::size_t room = std::min<std::size_t>(buffer.size(), guest_room());
  const ssize_t count = ::recv(stream_.get(), buffer.data(), room, MSG_DONTWAIT);
  if (count < 0 && is_transient(errno)) return 0;
  if (count <= 0) {
    close();
    return 0;
  }
  sent_ += static_cast<std::uint32_t>(count);
  return static_cast<std::size_t>(count);
}

void VsockConnection::tell_credit(VsockHeader& header) {
  header.buffer_bytes = kBufferBytes;
  header.forwarded = told_ = forwarded_;
}

}  // namespace berth::device

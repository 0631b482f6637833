#include "device/virtio/frame_port.hpp"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "sys/message_socket.hpp"

namespace berth::device {
namespace {

std::size_t count_of(ssize_t result) { return result > 0 ? static_cast<std::size_t>(result) : 0; }

std::uint32_t length_at(const std::byte* bytes) {
  std::uint32_t length = 0;
  for (unsigned i = 0; i < 4; ++i) length = length << 8 | std::to_integer<std::uint32_t>(bytes[i]);
  return length;
}

}  // namespace

bool FramePort::later() {
  if (errno == EAGAIN || errno == EINTR) return true;
  close();
  return false;
}

Result<std::unique_ptr<FramePort>> TapPort::create(sys::Fd tap) {
  TRY(sys::set_nonblocking(tap.get(), true));
  return std::unique_ptr<FramePort>(new TapPort(std::move(tap)));
}

bool TapPort::send(std::span<const std::byte> frame) {
  if (!open() || ::write(fd(), frame.data(), frame.size()) >= 0) return true;
  // EIO: the interface is down, as a cable that is pulled. EINVAL: no frame that the host would take.
  if (errno == EIO || errno == EINVAL) return true;
  return !later();
}

std::size_t TapPort::receive(std::span<std::byte> frame) {
  std::array<std::byte, kMaxFrameBytes + 1> buffer;  // a longer one is seen to be
  while (open()) {
    const ssize_t count = ::read(fd(), buffer.data(), buffer.size());
    if (count <= 0) {
      if (count < 0 && errno == EIO) return 0;
      if (count < 0) static_cast<void>(later());
      return 0;
    }
    const std::size_t bytes = count_of(count);
    if (bytes > frame.size() || bytes > kMaxFrameBytes) continue;
    std::memcpy(frame.data(), buffer.data(), bytes);
    return bytes;
  }
  return 0;
}

StreamPort::StreamPort(sys::Fd socket)
    : FramePort(std::move(socket)), incoming_(kLengthBytes + kMaxIncoming) {}

Result<std::unique_ptr<FramePort>> StreamPort::create(sys::Fd socket) {
  TRY(sys::set_nonblocking(socket.get(), true));
  return std::unique_ptr<FramePort>(new StreamPort(std::move(socket)));
}

bool StreamPort::flush() {
  while (open() && !outgoing_.empty()) {
    const ssize_t count = ::send(fd(), outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL);
    if (count < 0 && later()) return false;
    outgoing_.erase(outgoing_.begin(), outgoing_.begin() + static_cast<std::ptrdiff_t>(count_of(count)));
  }
  return true;
}

bool StreamPort::send(std::span<const std::byte> frame) {
  if (!flush()) return false;
  if (!open()) return true;
  const auto bytes = static_cast<std::uint32_t>(frame.size());
  outgoing_.clear();
  for (int shift = 24; shift >= 0; shift -= 8) outgoing_.push_back(static_cast<std::byte>(bytes >> shift));
  outgoing_.insert(outgoing_.end(), frame.begin(), frame.end());
  const std::size_t whole = outgoing_.size();
  if (flush() || outgoing_.size() < whole) return true;  // what is left goes first next time
  outgoing_.clear();
  return false;
}

std::span<const std::byte> StreamPort::next() const {
  const std::span<const std::byte> come(incoming_.data() + begin_, end_ - begin_);
  if (come.size() < kLengthBytes) return {};
  const std::size_t whole = kLengthBytes + length_at(come.data());
  return come.size() < whole ? std::span<const std::byte>() : come.first(whole);
}

// More bytes from the socket; false where there are none.
bool StreamPort::fill() {
  if (!open()) return false;
  std::memmove(incoming_.data(), incoming_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  const bool hopeless = end_ >= kLengthBytes && length_at(incoming_.data()) > kMaxIncoming;
  const ssize_t count = hopeless ? 0 : ::recv(fd(), incoming_.data() + end_, incoming_.size() - end_, 0);
  if (count == 0) close();  // it ended, or speaks of frames that there are not
  if (count < 0) static_cast<void>(later());
  end_ += count_of(count);
  return count > 0;
}

std::size_t StreamPort::receive(std::span<std::byte> frame) {
  while (true) {
    const auto whole = next();
    if (whole.empty()) {
      if (!fill()) return 0;
      continue;
    }
    begin_ += whole.size();
    const auto body = whole.subspan(kLengthBytes);
    if (body.empty() || body.size() > frame.size()) continue;
    std::memcpy(frame.data(), body.data(), body.size());
    return body.size();
  }
}

}  // namespace berth::device

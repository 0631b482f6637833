#include "relay/relay.hpp"

#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "sys/message_socket.hpp"

namespace berth::relay {
namespace {

constexpr std::size_t kChunkBytes = 16 << 10;

bool is_transient(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

Relay::Relay(sys::Fd connection, Handler handler)
    : connection_(std::move(connection)), handler_(std::move(handler)) {
  static_cast<void>(sys::set_nonblocking(connection_.get(), true));
}

void Relay::read_from(std::uint8_t stream, sys::Fd fd) {
  static_cast<void>(sys::set_nonblocking(fd.get(), true));
  sources_[stream].fd = std::move(fd);
}

void Relay::write_to(std::uint8_t stream, sys::Fd fd) {
  static_cast<void>(sys::set_nonblocking(fd.get(), true));
  sinks_[stream].fd = std::move(fd);
}

void Relay::queue(const std::string& bytes) {
  if (closed() || unheard_) return;
  outgoing_.append(bytes);
  flush();
}

void Relay::flush() {
  while (!outgoing_.empty() && !closed()) {
    const ssize_t count = ::write(connection_.get(), outgoing_.data(), outgoing_.size());
    if (count < 0 && is_transient(errno)) return;
    if (count < 0) {  // nobody listens; what was said before is still to be heard
      unheard_ = true;
      outgoing_.clear();
      return;
    }
    outgoing_.erase(0, static_cast<std::size_t>(count));
  }
}

// Always the same places: the connection, the sources, the sinks.
void Relay::prepare(std::vector<pollfd>& fds) const {
  // A side that sends without reading is not listened to either.
  const int events = (outgoing_.size() < 4 * kWindowBytes ? POLLIN : 0) | (outgoing_.empty() ? 0 : POLLOUT);
  fds.push_back({connection_.get(), static_cast<short>(events), 0});
  for (const Source& source : sources_) {
    const bool reads = source.in_flight < kWindowBytes && outgoing_.size() < kWindowBytes;
    fds.push_back({reads ? source.fd.get() : -1, POLLIN, 0});
  }
  for (const Sink& sink : sinks_) fds.push_back({sink.waiting.empty() ? -1 : sink.fd.get(), POLLOUT, 0});
}

void Relay::handle(std::span<const pollfd> fds) {
  if ((fds[0].revents & POLLOUT) != 0) flush();
  for (std::uint8_t stream = 0; stream < kStreams; ++stream) {
    if (fds[1U + stream].revents != 0) pump(stream);
    if (fds[1U + kStreams + stream].revents != 0) write_out(stream);
  }
  if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) receive();
}

void Relay::receive() {
  std::array<char, kChunkBytes> buffer;
  if (closed()) return;
  const ssize_t count = ::read(connection_.get(), buffer.data(), buffer.size());
  if (count < 0 && is_transient(errno)) return;
  if (count <= 0) return close();
  reader_.feed({buffer.data(), static_cast<std::size_t>(count)});
  while (!closed()) {
    const auto frame = reader_.next();
    if (!frame) return close();
    if (!*frame) return;
    take(**frame);
  }
}

void Relay::take(const Frame& frame) {
  Source& source = sources_[frame.stream];
  Sink& sink = sinks_[frame.stream];
  switch (frame.kind) {
    case Kind::Data:
      return take_data(frame);
    case Kind::End:
      sink.ends = true;
      if (sink.waiting.empty()) sink.fd.reset();
      return;
    case Kind::Taken: {
      const auto bytes = parse_u64(frame.payload);
      if (!bytes || *bytes > source.in_flight) return close();
      source.in_flight -= *bytes;
      return;
    }
    case Kind::Closed:
      source.fd.reset();
      return;
    default:
      return handler_(frame);
  }
}

void Relay::take_data(const Frame& frame) {
  Sink& sink = sinks_[frame.stream];
  if (sink.waiting.size() + frame.payload.size() > kWindowBytes) return close();
  sink.waiting.append(frame.payload);
  write_out(frame.stream);
}

void Relay::write_out(std::uint8_t stream) {
  Sink& sink = sinks_[stream];
  std::size_t done = sink.waiting.size();
  if (sink.fd) {
    const ssize_t count = ::write(sink.fd.get(), sink.waiting.data(), sink.waiting.size());
    if (count < 0 && is_transient(errno)) return;
    if (count < 0) {
      sink.fd.reset();
      queue(encode(Kind::Closed, {}, stream));
    } else {
      done = static_cast<std::size_t>(count);
    }
  }
  sink.waiting.erase(0, done);
  if (done > 0) queue(encode(Kind::Taken, std::to_string(done), stream));
  if (sink.ends && sink.waiting.empty()) sink.fd.reset();
}

bool Relay::pump(std::uint8_t stream) {
  Source& source = sources_[stream];
  std::array<char, kChunkBytes> buffer;
  const std::size_t room = std::min(buffer.size(), kWindowBytes - source.in_flight);
  if (!source.fd || room == 0) return false;
  const ssize_t count = ::read(source.fd.get(), buffer.data(), room);
  if (count < 0 && is_transient(errno)) return false;
  if (count <= 0) {  // EIO: a terminal's last user has gone
    source.fd.reset();
    queue(encode(Kind::End, {}, stream));
    return false;
  }
  source.in_flight += static_cast<std::size_t>(count);
  queue(encode(Kind::Data, {buffer.data(), static_cast<std::size_t>(count)}, stream));
  return true;
}

bool Relay::drain() {
  for (std::uint8_t stream = 0; stream < kStreams; ++stream) {
    while (pump(stream)) {
    }
    if (sources_[stream].fd && sources_[stream].in_flight >= kWindowBytes) return closed();
  }
  return true;
}

bool Relay::settled() const {
  return closed() || (outgoing_.empty() && std::all_of(sinks_.begin(), sinks_.end(), [](const Sink& sink) {
                        return sink.waiting.empty();
                      }));
}

}  // namespace berth::relay

// The streams of one process over one connection: what is read here is written there, within a window.
#pragma once

#include <poll.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "relay/frame.hpp"
#include "sys/fd.hpp"

namespace berth::relay {

// Belongs to one thread, which polls: prepare() before poll(2), handle() after it.
class Relay {
 public:
  // Of kinds that are not the relay's own: all but Data, End, Taken and Closed.
  using Handler = std::function<void(const Frame& frame)>;

  // `connection` becomes non-blocking, and so do the descriptors below.
  Relay(sys::Fd connection, Handler handler);

  // Bytes of `fd` go to the other side as the stream's; `fd` and the other's may be one terminal.
  void read_from(std::uint8_t stream, sys::Fd fd);
  void write_to(std::uint8_t stream, sys::Fd fd);
  void send(Kind kind, std::string_view payload = {}) { queue(encode(kind, payload)); }

  void prepare(std::vector<pollfd>& fds) const;
  void handle(std::span<const pollfd> fds);

  // Sends what can be read now and sees the end of what has ended; true once there is nothing more to read,
  // without waiting for descriptors that a stray process keeps open.
  bool drain();
  // All that was given to it has been sent, and all that came has been written.
  bool settled() const;
  bool sent() const { return outgoing_.empty(); }
  // The connection has ended, or the other side broke the rules.
  bool closed() const { return !connection_; }

 private:
  struct Source {
    sys::Fd fd;
    std::size_t in_flight = 0;
  };
  struct Sink {
    sys::Fd fd;
    std::string waiting;  // at most a window's bytes
    bool ends = false;
  };
  void queue(const std::string& bytes);
  void flush();
  void receive();
  void take(const Frame& frame);
  void take_data(const Frame& frame);
  bool pump(std::uint8_t stream);  // true where it read something
  void write_out(std::uint8_t stream);
  void close() { connection_.reset(); }

  sys::Fd connection_;
  Handler handler_;
  FrameReader reader_;
  std::string outgoing_;
  bool unheard_ = false;  // the other side does not read any more
  std::array<Source, kStreams> sources_;
  std::array<Sink, kStreams> sinks_;
};

}  // namespace berth::relay

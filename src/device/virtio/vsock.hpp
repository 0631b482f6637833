// Connections between the guest and the host (Virtual I/O Device 1.2, 5.10), the host's ends being byte
// stream sockets of this process.
#pragma once

#include <poll.h>

#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "device/virtio/device.hpp"
#include "device/virtio/vsock_packet.hpp"
#include "sys/fd.hpp"

namespace berth::device {

inline constexpr std::uint64_t kHostCid = 2, kGuestCid = 3;

// What one connection has and owes. Either side closes both directions at once.
class VsockConnection {
 public:
  static constexpr std::uint32_t kBufferBytes = 256
                                                << 10;  // what the guest may send ahead of the host's reader
  enum class Stage { Asking, Open, Closing, Closed };   // Closing: what is left goes to the host

  VsockConnection(sys::Fd stream, Stage stage) : stream_(std::move(stream)), stage_(stage) {}
  Stage stage() const { return stage_; }
  int stream() const { return stream_.get(); }
  void open() { stage_ = Stage::Open; }

  // The guest's side: false where it sent more than it may.
  bool take(std::string_view bytes);
  void learn_credit(const VsockHeader& header);
  void finish();  // the guest sends no more
  void close() { stage_ = Stage::Closed; }

  // The host's side.
  void write_out();
  // At most `room` bytes, and no more than the guest can take; an end closes.
  std::size_t read(std::span<char> buffer);
  bool may_read() const { return stage_ == Stage::Open && guest_room() > 0; }
  bool has_output() const { return !to_host_.empty(); }

  // The header's part on credit, which is then told.
  void tell_credit(VsockHeader& header);
  bool owes_credit() const { return stage_ == Stage::Open && forwarded_ - told_ >= kBufferBytes / 2; }

 private:
  std::uint32_t guest_room() const { return peer_buffer_ - (sent_ - peer_forwarded_); }
  sys::Fd stream_;
  Stage stage_;
  std::string to_host_;
  std::uint32_t sent_ = 0, peer_buffer_ = 0, peer_forwarded_ = 0;  // towards the guest, modulo 2^32
  std::uint32_t received_ = 0, forwarded_ = 0, told_ = 0;          // from the guest
};

class VirtioVsock final : public VirtioDevice {
 public:
  static constexpr std::size_t kMaxConnections = 64;

  static Result<std::unique_ptr<VirtioVsock>> create();
  ~VirtioVsock() override;

  // Any thread. The guest's first connection to that port of the host is the stream's.
  void offer(std::uint32_t host_port, sys::Fd stream);
  // Connects to a port of the guest; the stream is closed where nobody listens, or there are too many.
  void connect(std::uint32_t guest_port, sys::Fd stream);

  std::uint16_t type() const override { return 19; }
  std::uint32_t class_code() const override { return 0x078000; }
  unsigned queues() const override { return 3; }
  std::uint64_t config_read(unsigned offset, unsigned bytes) override;
  void activate(std::uint64_t features) override;
  void notify(unsigned queue) override;
  void reset() override;

 private:
  using Key = std::pair<std::uint32_t, std::uint32_t>;  // the host's port, the guest's
  explicit VirtioVsock(sys::Pipe wake) : wake_(std::move(wake)) {}

  // All with the transport's lock held.
  void receive(const Chain& chain);
  void receive_for(const Key& key, const VsockHeader& header, std::string_view payload);
  void accept(const Key& key, const VsockHeader& header);
  void reply(const Key& key, VsockOp op);
  void serve_guest();
  bool send_reply();
  bool send_data();
  bool put(const Key& key, VsockHeader header, std::string_view payload);
  void tidy();

  void run();
  void serve_host(std::span<const pollfd> fds, const std::vector<Key>& keys);
  void wake();

  struct Reply {
    Key key;
    VsockOp op;
  };
  std::map<Key, VsockConnection> connections_;
  std::map<std::uint32_t, sys::Fd> offers_;
  std::vector<Reply> replies_;
  std::uint32_t next_port_ = 0x10000;
  bool guest_has_room_ = false;  // the receive queue held a buffer when last looked at
  bool stopping_ = false;
  std::array<char, 64 << 10> block_;
  sys::Pipe wake_;
  std::thread thread_;
};

}  // namespace berth::device

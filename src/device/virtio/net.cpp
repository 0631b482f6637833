#include "device/virtio/net.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "sys/message_socket.hpp"
#include "sys/thread.hpp"

namespace berth::device {
namespace {

constexpr unsigned kToGuest = 0, kFromGuest = 1;
constexpr std::uint64_t kFeatureMac = 1 << 5, kFeatureStatus = 1 << 16;
constexpr std::size_t kBufferCountAt = 10;  // how many buffers a frame takes: always 1

}  // namespace

Result<std::unique_ptr<VirtioNet>> VirtioNet::create(std::unique_ptr<FramePort> port, const MacAddress& mac) {
  sys::Pipe wake = TRY(sys::pipe());
  TRY(sys::set_nonblocking(wake.read.get(), true));
  TRY(sys::set_nonblocking(wake.write.get(), true));
  return std::unique_ptr<VirtioNet>(new VirtioNet(std::move(port), mac, std::move(wake)));
}

VirtioNet::VirtioNet(std::unique_ptr<FramePort> port, const MacAddress& mac, sys::Pipe wake)
    : port_(std::move(port)), mac_(mac), wake_(std::move(wake)) {
  held_[kBufferCountAt] = std::byte{1};
}

VirtioNet::~VirtioNet() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(transport().mutex());
    stopping_ = true;
  }
  wake();
  thread_.join();
}

std::uint64_t VirtioNet::features() const { return kFeatureMac | kFeatureStatus; }

// struct virtio_net_config: mac, status.
std::uint64_t VirtioNet::config_read(unsigned offset, unsigned bytes) {
  std::array<std::uint8_t, 8> config{};
  std::copy(mac_.begin(), mac_.end(), config.begin());
  config[6] = link_up_ ? 1 : 0;
  std::uint64_t value = 0;
  if (offset + bytes <= config.size()) std::memcpy(&value, config.data() + offset, bytes);
  return value;
}

void VirtioNet::activate(std::uint64_t /*features*/) {
  guest_has_room_ = true;  // to be found out
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  wake();
}

void VirtioNet::reset() {
  blocked_ = guest_has_room_ = false;
  held_bytes_ = 0;
}

void VirtioNet::notify(unsigned queue) {
  if (queue == kFromGuest && !blocked_) {
    transmit();
    if (!port_->flush() || blocked_) wake();
  }
  if (queue == kToGuest && !guest_has_room_) {
    guest_has_room_ = true;
    wake();
  }
}

void VirtioNet::transmit() {
  Queue& queue = transport().queue(kFromGuest);
  bool any = false;
  while (transport().running()) {
    const Queue::Pop popped = queue.pop(chain_);
    if (popped == Queue::Pop::Empty) break;
    if (popped == Queue::Pop::Broken) return transport().broken();
    const std::size_t bytes = chain_.readable_bytes();
    // Other lengths are no frames of ours to carry: they are taken and dropped.
    if (bytes >= kHeaderBytes + kMinFrameBytes && bytes <= kHeaderBytes + kMaxFrameBytes) {
      const std::size_t count = chain_.read(outgoing_, kHeaderBytes);
      blocked_ = !port_->send(std::span(outgoing_).first(count));
    }
    if (blocked_) {
      queue.undo_pop();
      break;
    }
    if (!queue.push(chain_, 0)) return transport().broken();
    any = true;
  }
  if (any) transport().interrupt(kFromGuest);
}

bool VirtioNet::deliver() {
  Queue& queue = transport().queue(kToGuest);
  const Queue::Pop popped = queue.pop(chain_);
  guest_has_room_ = popped == Queue::Pop::Chain;
  if (popped == Queue::Pop::Broken) transport().broken();
  if (popped != Queue::Pop::Chain) return false;
  const auto frame = std::span<const std::byte>(held_).first(kHeaderBytes + held_bytes_);
  // A driver gives buffers of 1526 bytes or more (5.1.6.3).
  if (chain_.write(frame) != frame.size() || !queue.push(chain_, static_cast<std::uint32_t>(frame.size()))) {
    transport().broken();
    return false;
  }
  held_bytes_ = 0;
  return true;
}

void VirtioNet::receive() {
  bool any = false;
  while (transport().running()) {
    if (held_bytes_ == 0) held_bytes_ = port_->receive(std::span(held_).subspan(kHeaderBytes));
    if (held_bytes_ == 0 || !deliver()) break;
    any = true;
  }
  if (any) transport().interrupt(kToGuest);
}

// A port that has closed is a cable that was pulled.
void VirtioNet::see_port() {
  if (port_->open() || !link_up_) return;
  link_up_ = false;
  if (transport().running()) transport().config_changed();
}

void VirtioNet::wake() {
  constexpr char kByte = 0;
  [[maybe_unused]] const ssize_t count = ::write(wake_.write.get(), &kByte, 1);  // full is awake enough
}

// Does what there is to do; then waits for `fds`, which it sets.
void VirtioNet::serve(std::span<pollfd, 2> fds) {
  if (port_->flush() && blocked_) {
    blocked_ = false;
    transmit();
  }
  if (guest_has_room_) receive();
  see_port();
  const bool reads = transport().running() && guest_has_room_, writes = blocked_ || !port_->flush();
  fds[0] = {wake_.read.get(), POLLIN, 0};
  fds[1] = {reads || writes ? port_->fd() : -1,
            static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)), 0};
}

void VirtioNet::run() {
  sys::set_thread_name("net");
  std::array<pollfd, 2> fds{};
  std::array<char, 64> drained;
  while (true) {
    {
      const std::lock_guard lock(transport().mutex());
      if (stopping_) return;
      serve(fds);
    }
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    if (fds[0].revents != 0) static_cast<void>(sys::read_some(wake_.read.get(), drained));
    if ((fds[1].revents & (POLLIN | POLLOUT)) != 0 || fds[1].revents == 0) continue;
    const std::lock_guard lock(transport().mutex());
    port_->close();  // an error, and nothing to read: the tap device is gone
  }
}

}  // namespace berth::device

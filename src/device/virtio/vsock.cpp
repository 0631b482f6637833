#include "device/virtio/vsock.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "sys/message_socket.hpp"
#include "sys/thread.hpp"

namespace berth::device {
namespace {

constexpr unsigned kToGuest = 0, kFromGuest = 1;
// Refusals that wait for room in the guest's queue; a guest that asks for more of them gets none.
constexpr std::size_t kMaxReplies = 2 * VirtioVsock::kMaxConnections;
constexpr std::uint32_t kBothDirections = 3;

}  // namespace

Result<std::unique_ptr<VirtioVsock>> VirtioVsock::create() {
  sys::Pipe wake = TRY(sys::pipe());
  TRY(sys::set_nonblocking(wake.read.get(), true));
  TRY(sys::set_nonblocking(wake.write.get(), true));
  return std::unique_ptr<VirtioVsock>(new VirtioVsock(std::move(wake)));
}

VirtioVsock::~VirtioVsock() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(transport().mutex());
    stopping_ = true;
  }
  wake();
  thread_.join();
}

void VirtioVsock::offer(std::uint32_t host_port, sys::Fd stream) {
  const std::lock_guard lock(transport().mutex());
  offers_[host_port] = std::move(stream);
}

void VirtioVsock::connect(std::uint32_t guest_port, sys::Fd stream) {
  const std::lock_guard lock(transport().mutex());
  if (connections_.size() >= kMaxConnections) return;
  const Key key{next_port_++, guest_port};
  connections_.emplace(key, VsockConnection(std::move(stream), VsockConnection::Stage::Asking));
  reply(key, VsockOp::Request);
  serve_guest();
}

std::uint64_t VirtioVsock::config_read(unsigned offset, unsigned bytes) {
  std::uint64_t value = 0;
  if (offset + bytes <= sizeof kGuestCid)
    std::memcpy(&value, reinterpret_cast<const std::byte*>(&kGuestCid) + offset, bytes);
  return value;
}

void VirtioVsock::activate(std::uint64_t /*features*/) {
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void VirtioVsock::reset() {
  connections_.clear();
  replies_.clear();
  guest_has_room_ = false;
}

void VirtioVsock::notify(unsigned queue) {
  if (queue == kFromGuest) {
    drain(queue, [this](const Chain& chain) {
      receive(chain);
      return 0U;
    });
  }
  if (queue == kToGuest) guest_has_room_ = true;
  serve_guest();
  wake();
}

void VirtioVsock::receive(const Chain& chain) {
  VsockHeader header{};
  if (chain.read(std::as_writable_bytes(std::span(&header, 1))) != sizeof header) return;
  const std::size_t length = chain.read(std::as_writable_bytes(std::span(block_)), sizeof header);
  if (header.source_cid != kGuestCid || header.target_cid != kHostCid || header.type != 1) return;
  const std::uint32_t host_port = header.target_port, guest_port = header.source_port;
  receive_for({host_port, guest_port}, header, {block_.data(), std::min<std::size_t>(length, header.bytes)});
}

void VirtioVsock::accept(const Key& key, const VsockHeader& header) {
  const auto offer = offers_.find(key.first);
  if (offer == offers_.end() || connections_.size() >= kMaxConnections) return reply(key, VsockOp::Reset);
  const auto [made, fresh] =
      connections_.emplace(key, VsockConnection(std::move(offer->second), VsockConnection::Stage::Open));
  offers_.erase(offer);
  made->second.learn_credit(header);
  reply(key, VsockOp::Response);
}

void VirtioVsock::receive_for(const Key& key, const VsockHeader& header, std::string_view payload) {
  const auto op = static_cast<VsockOp>(header.op);
  const auto found = connections_.find(key);
  if (found == connections_.end()) {
    if (op == VsockOp::Request) return accept(key, header);
    if (op != VsockOp::Reset) reply(key, VsockOp::Reset);
    return;
  }
  VsockConnection& connection = found->second;
  connection.learn_credit(header);
  switch (op) {
    case VsockOp::Response:
      connection.open();
      return;
    case VsockOp::Data:
      if (!connection.take(payload)) connection.close();
      return;
    case VsockOp::Shutdown:
      return connection.finish();
    case VsockOp::CreditUpdate:
      return;
    case VsockOp::CreditRequest:
      return reply(key, VsockOp::CreditUpdate);
    default:  // a reset, or against the rules
      return connection.close();
  }
}

void VirtioVsock::reply(const Key& key, VsockOp op) {
  if (replies_.size() < kMaxReplies) replies_.push_back({key, op});
}

// One packet to the guest; false where it has no room for one.
bool VirtioVsock::put(const Key& key, VsockHeader header, std::string_view payload) {
  Queue& queue = transport().queue(kToGuest);
  const Queue::Pop popped = queue.pop(chain_);
  guest_has_room_ = popped == Queue::Pop::Chain;
  if (popped == Queue::Pop::Broken) transport().broken();
  if (popped != Queue::Pop::Chain) return false;
  header.source_cid = kHostCid;
  header.target_cid = kGuestCid;
  header.source_port = key.first;
  header.target_port = key.second;
  header.bytes = static_cast<std::uint32_t>(payload.size());
  std::size_t written = chain_.write(std::as_bytes(std::span(&header, 1)));
  written += chain_.write(std::as_bytes(std::span(payload)), written);
  if (!queue.push(chain_, static_cast<std::uint32_t>(written))) {
    transport().broken();
    return false;
  }
  return true;
}

bool VirtioVsock::send_reply() {
  if (replies_.empty()) return false;
  const Reply reply = replies_.front();
  VsockHeader header{.op = static_cast<std::uint16_t>(reply.op)};
  if (reply.op == VsockOp::Shutdown) header.flags = kBothDirections;
  const auto found = connections_.find(reply.key);
  if (found != connections_.end()) found->second.tell_credit(header);
  if (!put(reply.key, header, {})) return false;
  replies_.erase(replies_.begin());
  return true;
}

// What one connection's host side has for the guest. The guest's buffers are of 4 KiB as Linux makes them;
// what does not fit into one is not read yet.
bool VirtioVsock::send_data() {
  constexpr std::size_t kPacketBytes = 4096 - sizeof(VsockHeader);
  bool any = false;
  for (auto& [key, connection] : connections_) {
    if (!connection.may_read()) continue;
    Queue& queue = transport().queue(kToGuest);
    guest_has_room_ = queue.pop(chain_) == Queue::Pop::Chain;
    if (!guest_has_room_) return false;
    const std::size_t room = chain_.writable_bytes();
    queue.undo_pop();
    if (room <= sizeof(VsockHeader)) {
      transport().broken();
      return false;
    }
    const std::size_t count =
        connection.read(std::span(block_).first(std::min(room - sizeof(VsockHeader), kPacketBytes)));
    if (count == 0) continue;
    VsockHeader header{.op = static_cast<std::uint16_t>(VsockOp::Data)};
    connection.tell_credit(header);
    if (!put(key, header, {block_.data(), count})) {
      connection.close();  // the guest took its buffer back, and the bytes are lost
      return false;
    }
    any = true;
  }
  return any;
}

void VirtioVsock::tidy() {
  for (auto entry = connections_.begin(); entry != connections_.end();) {
    if (entry->second.owes_credit()) reply(entry->first, VsockOp::CreditUpdate);
    if (entry->second.stage() != VsockConnection::Stage::Closed) {
      ++entry;
      continue;
    }
    std::erase_if(replies_, [&](const Reply& waiting) { return waiting.key == entry->first; });
    reply(entry->first, VsockOp::Reset);
    entry = connections_.erase(entry);
  }
}

void VirtioVsock::serve_guest() {
  if (!transport().running()) return;
  bool any = false;
  do {
    tidy();
    while (send_reply()) any = true;
    if (!replies_.empty()) break;
  } while (send_data() && (any = true));
  tidy();
  while (send_reply()) any = true;
  if (any) transport().interrupt(kToGuest);
}

void VirtioVsock::wake() {
  constexpr char kByte = 0;
  [[maybe_unused]] const ssize_t count = ::write(wake_.write.get(), &kByte, 1);  // full is awake enough
}

void VirtioVsock::serve_host(std::span<const pollfd> fds, const std::vector<Key>& keys) {
  std::array<char, 64> drained;
  if (fds[0].revents != 0) static_cast<void>(sys::read_some(wake_.read.get(), drained));
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto found = connections_.find(keys[i]);
    if (found == connections_.end() || found->second.stream() != fds[i + 1].fd) continue;
    if ((fds[i + 1].revents & POLLOUT) != 0) found->second.write_out();
  }
  serve_guest();
}

void VirtioVsock::run() {
  sys::set_thread_name("vsock");
  std::vector<pollfd> fds;
  std::vector<Key> keys;
  while (true) {
    fds.assign(1, {wake_.read.get(), POLLIN, 0});
    keys.clear();
    {
      const std::lock_guard lock(transport().mutex());
      if (stopping_) return;
      const bool listens = transport().running() && guest_has_room_;
      for (const auto& [key, connection] : connections_) {
        const int events =
            (listens && connection.may_read() ? POLLIN : 0) | (connection.has_output() ? POLLOUT : 0);
        if (events == 0) continue;
        fds.push_back({connection.stream(), static_cast<short>(events), 0});
        keys.push_back(key);
      }
    }
    if (::poll(fds.data(), fds.size(), -1) < 0) continue;
    const std::lock_guard lock(transport().mutex());
    serve_host(fds, keys);
  }
}

}  // namespace berth::device

#include "node/monitor/clients.hpp"

#include <algorithm>

#include "sys/message_socket.hpp"

namespace berth::node {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxClients = 64;

}  // namespace

Result<Clients> Clients::listen(const std::string& run_dir) {
  return Clients(TRY(sys::listen_messages(run_dir, std::string(kAttachSocket))));
}

void Clients::add(sys::Fd socket, AttachWish wish) {
  static_cast<void>(sys::set_nonblocking(socket.get(), true));
  clients_.push_back({std::move(socket), wish, {}, {}});
}

void Clients::send(Client& client, const std::string& message) {
  if (!client.socket) return;
  if (client.waiting.empty()) client.waiting_since = Clock::now();
  client.waiting.push_back(message);
  flush(client);
}

void Clients::flush(Client& client) {
  while (!client.waiting.empty()) {
    const auto sent = sys::send_message(client.socket.get(), client.waiting.front());
    if (sent == sys::Transfer::WouldBlock) return;
    if (sent == sys::Transfer::Closed) return client.socket.reset();
    client.waiting.pop_front();
    client.waiting_since = Clock::now();
  }
}

void Clients::tell(Message kind, std::string_view payload) {
  const std::string message = encode(kind, payload);
  for (Client& client : clients_) send(client, message);
  remove_closed();
}

void Clients::output(Message stream, std::string_view payload) {
  std::string message;
  for (Client& client : clients_) {
    if (!client.wish.output) continue;
    if (message.empty()) message = encode(stream, payload);
    send(client, message);
  }
  remove_closed();
}

bool Clients::blocked() const {
  return std::any_of(clients_.begin(), clients_.end(),
                     [](const Client& client) { return !client.waiting.empty(); });
}

void Clients::prepare(std::vector<pollfd>& fds, bool take_input) const {
  fds.push_back({listener_.get(), POLLIN, 0});
  for (const Client& client : clients_) {
    const bool listens = take_input || !client.wish.input;
    const auto events = (listens ? POLLIN : 0) | (client.waiting.empty() ? 0 : POLLOUT);
    fds.push_back({client.socket.get(), static_cast<short>(events), 0});
  }
}

void Clients::handle(std::span<const pollfd> fds, const Handler& handler) {
  for (std::size_t i = 1; i < fds.size(); ++i) {
    Client& client = clients_[i - 1];
    if ((fds[i].revents & POLLOUT) != 0) flush(client);
    if ((fds[i].revents & POLLIN) != 0)
      receive(client, handler);
    else if ((fds[i].revents & (POLLHUP | POLLERR)) != 0)
      client.socket.reset();
  }
  if ((fds[0].revents & POLLIN) != 0) accept();
  remove_closed();
}

void Clients::accept() {
  auto accepted = sys::accept_messages(listener_.get());
  if (!accepted || !*accepted || clients_.size() >= kMaxClients) return;
  add(*std::move(*accepted), {});
}

void Clients::receive(Client& client, const Handler& handler) {
  if (!client.socket) return;
  std::string buffer;
  const auto got = sys::receive_message(client.socket.get(), buffer);
  if (got == sys::Transfer::Closed) return client.socket.reset();
  if (got == sys::Transfer::WouldBlock) return;
  const auto message = decode(buffer);
  if (!message) return;
  if (message->kind == Message::Attach)
    client.wish = decode_attach(message->payload);
  else
    handler(message->kind, message->payload);
}

std::optional<Clock::time_point> Clients::deadline() const {
  std::optional<Clock::time_point> first;
  for (const Client& client : clients_) {
    if (client.waiting.empty() || client.wish.lossless) continue;
    const auto end = client.waiting_since + kPatience;
    if (!first || end < *first) first = end;
  }
  return first;
}

void Clients::drop_stalled() {
  for (Client& client : clients_) {
    const bool stalled = !client.waiting.empty() && !client.wish.lossless;
    if (stalled && Clock::now() >= client.waiting_since + kPatience) client.socket.reset();
  }
  remove_closed();
}

void Clients::remove_closed() {
  std::erase_if(clients_, [](const Client& client) { return !client.socket; });
}

}  // namespace berth::node

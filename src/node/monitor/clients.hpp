// The programs that are connected to a monitor: those that started the instance, attached to it or wait for
// its end.
#pragma once

#include <poll.h>

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "node/protocol.hpp"
#include "sys/fd.hpp"

namespace berth::node {

// Each client has at most one output message (of each stream) waiting: while one has, no more output is read
// from the workload, which is how a pipe would behave. So nothing is lost and nothing piles up. A client that
// asked for lossless output may hold the workload up for as long as it lives; any other is dropped after
// kPatience.
class Clients {
 public:
  static constexpr std::chrono::seconds kPatience{10};

  // What a client may ask for.
  using Handler = std::function<void(Message kind, std::string_view payload)>;

  static Result<Clients> listen(const std::string& run_dir);
  // A connection that was there before: the one that started this monitor.
  void add(sys::Fd socket, AttachWish wish);

  void tell(Message kind, std::string_view payload);      // every client
  void output(Message stream, std::string_view payload);  // those who want output
  bool blocked() const;                                   // somebody has not taken the last output yet

  // Adds what to wait for; `take_input` is false while earlier input has not been passed on.
  void prepare(std::vector<pollfd>& fds, bool take_input) const;
  // Acts on what poll(2) found; `fds` is what prepare() added.
  void handle(std::span<const pollfd> fds, const Handler& handler);
  // When the next client's patience ends; nothing where all is well.
  std::optional<std::chrono::steady_clock::time_point> deadline() const;
  void drop_stalled();

 private:
  struct Client {
    sys::Fd socket;
    AttachWish wish;
    std::deque<std::string> waiting;  // encoded messages
    std::chrono::steady_clock::time_point waiting_since;
  };
  explicit Clients(sys::Fd listener) : listener_(std::move(listener)) {}
  void accept();
  void send(Client& client, const std::string& message);
  void flush(Client& client);
  void receive(Client& client, const Handler& handler);
  void remove_closed();
  sys::Fd listener_;
  std::vector<Client> clients_;
};

}  // namespace berth::node

// What the other side may send: anything.
#include <sys/socket.h>

#include "relay/relay.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace berth;
  auto ends = sys::socket_pair(SOCK_STREAM);
  const std::string_view input(reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 64 << 10));
  static_cast<void>(relay::decode_error(input));
  relay::Relay victim(std::move(ends->first), [](const relay::Frame&) {});
  auto null = sys::open("/dev/null", O_WRONLY);
  victim.write_to(1, *std::move(null));
  static_cast<void>(::send(ends->second.get(), input.data(), input.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
  ends->second.reset();
  for (int i = 0; i < 16 && !victim.closed(); ++i) {
    std::vector<pollfd> fds;
    victim.prepare(fds);
    ::poll(fds.data(), fds.size(), 0);
    victim.handle(fds);
  }
  return 0;
}

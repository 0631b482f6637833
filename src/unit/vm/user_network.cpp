#include "unit/vm/user_network.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "base/text.hpp"
#include "sys/interface.hpp"
#include "sys/process.hpp"
#include "sys/spawn.hpp"

namespace berth::unit {
namespace {

constexpr int kStreamFd = 3;
constexpr std::size_t kMaxMessages = 64 << 10;
constexpr const char* kGuest = "10.0.2.15";
constexpr const char* kGateway = "10.0.2.2";
constexpr const char* kDns = "10.0.2.3";

std::string find_passt() {
  for (const char* directory : {"/usr/bin", "/bin", "/usr/local/bin"})
    if (std::string path = fmt::format("{}/passt", directory); ::access(path.c_str(), X_OK) == 0) return path;
  return {};
}

// Nothing is let in, and nothing leads to what the host keeps to itself on its loopback interface.
std::vector<std::string> arguments() {
  return {"passt",
          "--quiet",
          "--fd",
          std::to_string(kStreamFd),
          "--ipv4-only",
          "--address",
          kGuest,
          "--netmask",
          "24",
          "--gateway",
          kGateway,
          "--no-map-gw",
          "--dns-forward",
          kDns,
          "--no-dhcp",
          "--tcp-ports",
          "none",
          "--udp-ports",
          "none"};
}

}  // namespace

Result<void> probe_user_network() {
  if (find_passt().empty())
    return fail(Code::FailedPrecondition, "passt is not installed (Debian's package passt)");
  if (!sys::has_default_route())
    return fail(Code::FailedPrecondition, "the host has no route to the outside itself");
  return {};
}

isolate::GuestInterface user_interface() {
  return {.tap = "", .address = fmt::format("{}/24", kGuest), .gateway = kGateway, .dns = {kDns}};
}

Result<std::unique_ptr<UserNetwork>> UserNetwork::start() {
  TRY_DURING("--network user", probe_user_network());
  auto [ours, theirs] = TRY(sys::socket_pair(SOCK_STREAM));
  sys::Pipe messages = TRY(sys::pipe());
  const sys::Fd null = TRY(sys::open("/dev/null", O_RDWR));
  const int says = messages.write.get();
  const pid_t pid = TRY(sys::spawn(
      find_passt(), arguments(),
      {.fds = {{null.get(), 0}, {says, 1}, {says, 2}, {theirs.get(), kStreamFd}}, .new_session = true}));
  return std::unique_ptr<UserNetwork>(new UserNetwork(std::move(ours), std::move(messages.read), pid));
}

UserNetwork::~UserNetwork() {
  if (pid_ < 0) return;
  machine_end_.reset();
  messages_.reset();
  static_cast<void>(sys::reap(pid_, true));
}

// It goes to the background when it is ready, and says on its standard error why where it never will be.
Result<void> UserNetwork::await() {
  const std::string said = sys::read_all(messages_.get(), kMaxMessages).value_or("");
  const auto status = TRY(sys::reap(std::exchange(pid_, -1), true));
  machine_end_.reset();
  if (status && sys::exit_code_of(*status) == 0) return {};
  const std::string text(trim(said));
  return fail(Code::Aborted,
              fmt::format("--network user: passt did not start: {}",
                          text.empty() ? "it says nothing" : text.substr(text.rfind('\n') + 1)));
}

}  // namespace berth::unit

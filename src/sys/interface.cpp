#include "sys/interface.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/route.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "base/text.hpp"

namespace berth::sys {
namespace {

Result<ifreq> request_for(const std::string& name) {
  ifreq request{};
  if (name.empty() || name.size() >= IFNAMSIZ)
    return fail(Code::InvalidArgument, fmt::format("\"{}\" is no interface's name", name));
  std::memcpy(request.ifr_name, name.c_str(), name.size() + 1);
  return request;
}

sockaddr_in as_sockaddr(std::uint32_t address) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = address;
  return out;
}

void put_address(sockaddr& place, std::uint32_t address) {
  const sockaddr_in value = as_sockaddr(address);
  std::memcpy(&place, &value, sizeof value);
}

std::uint32_t mask_of(unsigned prefix) { return htonl(~std::uint32_t{0} << (32 - prefix)); }

Result<void> add_default_route(int socket, const std::string& name, std::uint32_t gateway) {
  rtentry route{};
  put_address(route.rt_dst, 0);
  put_address(route.rt_genmask, 0);
  put_address(route.rt_gateway, gateway);
  route.rt_flags = RTF_UP | RTF_GATEWAY;
  std::string device = name;
  route.rt_dev = device.data();
  if (::ioctl(socket, SIOCADDRT, &route) != 0 && errno != EEXIST)
    return fail_errno(fmt::format("cannot route by the gateway of {}", name));
  return {};
}

}  // namespace

Result<Fd> open_tap(const std::string& name) {
  ifreq request = TRY(request_for(name));
  if (::if_nametoindex(name.c_str()) == 0)
    return fail(Code::NotFound,
                fmt::format("there is no tap device {}: make it (ip tuntap add mode tap {})", name, name));
  Fd tap = TRY(open("/dev/net/tun", O_RDWR | O_NONBLOCK));
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  if (::ioctl(tap.get(), TUNSETIFF, &request) != 0)
    return fail_errno(fmt::format("cannot use {} as a tap device (is it one, free, and this user's?)", name));
  return tap;
}

Result<std::uint32_t> parse_ipv4(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1)
    return fail(Code::InvalidArgument, fmt::format("\"{}\" is no IPv4 address", text));
  return address.s_addr;
}

Result<Ipv4Interface> parse_ipv4_interface(const std::string& text) {
  const auto slash = text.find('/');
  if (slash == std::string::npos)
    return fail(Code::InvalidArgument, fmt::format("\"{}\": expected an address as 192.0.2.7/24", text));
  const auto prefix = parse_u64(std::string_view(text).substr(slash + 1));
  if (!prefix || *prefix < 1 || *prefix > 31)
    return fail(Code::InvalidArgument, fmt::format("\"{}\": expected 1 to 31 behind the stroke", text));
  return Ipv4Interface{.address = TRY(parse_ipv4(text.substr(0, slash))),
                       .prefix = static_cast<unsigned>(*prefix)};
}

Result<void> configure_interface(const std::string& name, const Ipv4Interface& config) {
  BERTH_ASSERT(config.prefix >= 1 && config.prefix <= 31);
  ifreq request = TRY(request_for(name));
  if (::if_nametoindex(name.c_str()) == 0)
    return fail(Code::NotFound, fmt::format("there is no network interface {}", name));
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno("cannot make a socket");
  put_address(request.ifr_addr, config.address);
  if (::ioctl(socket.get(), SIOCSIFADDR, &request) != 0)
    return fail_errno(fmt::format("cannot give {} its address", name));
  put_address(request.ifr_netmask, mask_of(config.prefix));
  if (::ioctl(socket.get(), SIOCSIFNETMASK, &request) != 0)
    return fail_errno(fmt::format("cannot set the network of {}", name));
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0)
    return fail_errno(fmt::format("cannot start {}", name));
  if (config.gateway == 0) return {};
  return add_default_route(socket.get(), name, config.gateway);
}

// proc_net(5): interface, destination, gateway, flags, ..., all in hexadecimal.
bool has_default_route() {
  const std::string text = read_file("/proc/net/route").value_or("");
  for (const std::string& line : split(text, '\n')) {
    const auto fields = split(line, '\t');
    if (fields.size() > 7 && fields[1] == "00000000" && fields[7] == "00000000") return true;
  }
  return false;
}

}  // namespace berth::sys

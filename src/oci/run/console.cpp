#include "oci/run/console.hpp"

#include <array>

#include "sys/fd.hpp"
#include "sys/stream_socket.hpp"

namespace berth::oci {
namespace {

Result<void> send(const std::string& socket, std::string_view text, int descriptor) {
  const sys::Fd connection = TRY(sys::connect_stream(socket));
  const std::array<int, 1> descriptors = {descriptor};
  return sys::send_with_descriptors(connection.get(), text, descriptors);
}

}  // namespace

Result<void> send_console(const std::string& socket, int master) {
  TRY_DURING("--console-socket", send(socket, "/dev/ptmx", master));
  return {};
}

Result<void> send_pidfd(const std::string& socket, int pidfd) {
  TRY_DURING("run.oci.pidfd_receiver", send(socket, "pidfd", pidfd));
  return {};
}

Result<void> write_pid_file(const std::string& path, pid_t pid) {
  TRY_DURING("--pid-file", sys::replace_file(path, std::to_string(pid), 0644, sys::Keeping::Transient));
  return {};
}

}  // namespace berth::oci

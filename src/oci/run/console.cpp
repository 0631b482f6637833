#include "oci/run/console.hpp"

#include <array>

#include "sys/fd.hpp"
#include "sys/stream_socket.hpp"

namespace berth::oci {

Result<void> send_console(const std::string& socket, int master) {
  const sys::Fd connection = TRY_DURING("--console-socket", sys::connect_stream(socket));
  const std::array<int, 1> descriptors = {master};
  TRY_DURING("--console-socket", sys::send_with_descriptors(connection.get(), "/dev/ptmx", descriptors));
  return {};
}

Result<void> write_pid_file(const std::string& path, pid_t pid) {
  TRY_DURING("--pid-file", sys::replace_file(path, std::to_string(pid)));
  return {};
}

}  // namespace berth::oci

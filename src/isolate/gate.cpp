// Opening the gate that a launch waits at; declared in isolate/launcher.hpp.
#include <fmt/core.h>

#include "isolate/child.hpp"
#include "isolate/launcher.hpp"
#include "sys/channel.hpp"
#include "sys/message_socket.hpp"

namespace berth::isolate {

Result<void> open_gate(const std::string& directory, const std::string& name) {
  const sys::Fd connection = TRY(sys::connect_messages(directory, name));
  const auto received = TRY(sys::receive_message(connection.get()));
  if (!received) return {};  // closed by exec
  std::string what;
  if (sys::receive_message(connection.get(), what) != sys::Transfer::Done) what = "start the program";
  const int error = received->message.second;
  if (static_cast<Report>(received->message.kind) == Report::ExecFailed)
    return fail(program_error(what, error));
  return fail(before_program(fail_errno(fmt::format("cannot {}", what), error).value()));
}

}  // namespace berth::isolate

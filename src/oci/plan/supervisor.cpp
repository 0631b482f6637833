#include "oci/plan/supervisor.hpp"

#include <fmt/core.h>

#include <array>

#include "base/json_value.hpp"
#include "sys/fd.hpp"
#include "sys/stream_socket.hpp"

namespace berth::oci {
namespace {

constexpr const char* kField = "linux.seccomp.listenerPath";

std::string process_state(const sys::SeccompProfile& profile, const State& state, Status status, pid_t pid) {
  Json head = {{"ociVersion", state.oci_version}, {"fds", {"seccompFd"}}, {"pid", pid}};
  if (!profile.listener_metadata.empty()) head["metadata"] = profile.listener_metadata;
  std::string text = head.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.pop_back();
  return fmt::format("{},\"state\":{}}}", text,
                     state_text(state, status).with(status == Status::Creating ? pid : state.pid));
}

}  // namespace

isolate::HandOver tell_supervisor(const sys::SeccompProfile& profile, const State& state, Status status) {
  return [&profile, &state, status](pid_t pid, int listener) -> Result<void> {
    const sys::Fd connection = TRY_DURING(kField, sys::connect_stream(profile.listener_path));
    const std::array<int, 1> descriptors = {listener};
    TRY_DURING(kField, sys::send_with_descriptors(connection.get(),
                                                  process_state(profile, state, status, pid), descriptors));
    return {};
  };
}

}  // namespace berth::oci

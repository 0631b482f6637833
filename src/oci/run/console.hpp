// What a client is told of a process that was started for it.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.hpp"

namespace berth::oci {

// Sends a terminal's master to who listens at `socket` (--console-socket).
Result<void> send_console(const std::string& socket, int master);

// Sends a descriptor of a process to who listens at `socket` (the annotation run.oci.pidfd_receiver).
Result<void> send_pidfd(const std::string& socket, int pidfd);

Result<void> write_pid_file(const std::string& path, pid_t pid);

}  // namespace berth::oci

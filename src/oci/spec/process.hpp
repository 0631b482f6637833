// config.json's `process` (runtime-spec, config.md, "Process"), which `exec --process` reads too.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "isolate/config.hpp"
#include "isolate/process_attributes.hpp"
#include "sys/capability.hpp"
#include "sys/terminal.hpp"

namespace berth::oci {

struct Process {
  bool terminal = false;
  std::optional<sys::WindowSize> console_size;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> additional_gids;
  mode_t umask = 022;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::string cwd;
  std::optional<sys::CapabilitySets> capabilities;  // absent: none at all
  std::vector<isolate::Rlimit> rlimits;
  bool no_new_privileges = false;
  isolate::ProcessAttributes attributes;

  // Errors name the field. Capabilities that Linux does not have are passed over with a warning.
  static Result<Process> from_json(const JsonView& view);
};

// A whole number that fits into 32 bits, 2^32 - 1 ("no id") not among them.
Result<std::uint32_t> read_id(const JsonView& view, std::string_view key);

}  // namespace berth::oci

// The commands' declarations, one a row of the table; each file defines a few that belong together.
#pragma once

#include "cmd/berth/command.hpp"

namespace berth::cmd {

Action declare_version(CLI::App& app, const Invocation& invocation);
Action declare_doctor(CLI::App& app, const Invocation& invocation);
Action declare_completion(CLI::App& app, const Invocation& invocation);

}  // namespace berth::cmd

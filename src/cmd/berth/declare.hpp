// The commands' declarations, one a row of the table; each file defines a few that belong together.
#pragma once

#include "cmd/berth/command.hpp"

namespace berth::cmd {

Action declare_run(CLI::App& app, const Invocation& invocation);
Action declare_create(CLI::App& app, const Invocation& invocation);
Action declare_start(CLI::App& app, const Invocation& invocation);
Action declare_stop(CLI::App& app, const Invocation& invocation);
Action declare_restart(CLI::App& app, const Invocation& invocation);
Action declare_kill(CLI::App& app, const Invocation& invocation);
Action declare_pause(CLI::App& app, const Invocation& invocation);
Action declare_unpause(CLI::App& app, const Invocation& invocation);
Action declare_wait(CLI::App& app, const Invocation& invocation);
Action declare_rm(CLI::App& app, const Invocation& invocation);
Action declare_rename(CLI::App& app, const Invocation& invocation);
Action declare_update(CLI::App& app, const Invocation& invocation);
Action declare_attach(CLI::App& app, const Invocation& invocation);
Action declare_exec(CLI::App& app, const Invocation& invocation);
Action declare_ps(CLI::App& app, const Invocation& invocation);
Action declare_inspect(CLI::App& app, const Invocation& invocation);
Action declare_logs(CLI::App& app, const Invocation& invocation);
Action declare_top(CLI::App& app, const Invocation& invocation);
Action declare_stats(CLI::App& app, const Invocation& invocation);
Action declare_events(CLI::App& app, const Invocation& invocation);
Action declare_version(CLI::App& app, const Invocation& invocation);
Action declare_doctor(CLI::App& app, const Invocation& invocation);
Action declare_completion(CLI::App& app, const Invocation& invocation);

}  // namespace berth::cmd

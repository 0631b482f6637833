// The commands' declarations, one a row of the table; each file defines a few that belong together.
#pragma once

#include "cmd/berth-image/command.hpp"

namespace berth::cmd {

Action declare_ls(CLI::App& app);
Action declare_rm(CLI::App& app);
Action declare_tag(CLI::App& app);
Action declare_untag(CLI::App& app);
Action declare_inspect(CLI::App& app);
Action declare_history(CLI::App& app);
Action declare_save(CLI::App& app);
Action declare_load(CLI::App& app);
Action declare_import(CLI::App& app);
Action declare_export(CLI::App& app);
Action declare_unpack(CLI::App& app);
Action declare_prune(CLI::App& app);
Action declare_check(CLI::App& app);
Action declare_pull(CLI::App& app);
Action declare_push(CLI::App& app);
Action declare_login(CLI::App& app);
Action declare_logout(CLI::App& app);
Action declare_kernel(CLI::App& app);

}  // namespace berth::cmd

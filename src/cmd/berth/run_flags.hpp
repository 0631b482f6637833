// The options that run and create share, and those of them that update has.
#pragma once

#include "node/run_options.hpp"

namespace CLI {
class App;
}

namespace berth::cmd {

void add_resource_flags(CLI::App& app, node::RunOptions& options);
void add_run_flags(CLI::App& app, node::RunOptions& options);

}  // namespace berth::cmd

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/json_value.hpp"
#include "cmd/berth/declare.hpp"

namespace berth::cmd {

Action declare_version(CLI::App&, const Invocation& invocation) {
  return [&globals = invocation.globals]() -> Result<int> {
    const std::string text =
        globals.format == "json" ? Json{{"version", BERTH_VERSION}}.dump() : "berth " BERTH_VERSION;
    std::fputs((text + "\n").c_str(), stdout);
    return 0;
  };
}

}  // namespace berth::cmd

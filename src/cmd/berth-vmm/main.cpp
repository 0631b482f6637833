// berth-vmm: runs one machine, described by a JSON file, with its serial port on standard input and output;
// or, for the vm unit, one that runs an image's program.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <string_view>

#include "base/log.hpp"
#include "sys/fd.hpp"
#include "sys/tty.hpp"
#include "vmm/run.hpp"
#include "vmm/unit_run.hpp"

namespace {

constexpr int kMonitorFailed = 125;

berth::Result<berth::device::End> run(const char* path) {
  const auto text = TRY(berth::sys::read_file(path, 1 << 20));
  const auto description = TRY_DURING(path, berth::vmm::parse_description(text));
  std::optional<berth::sys::RawMode> raw;
  if (berth::sys::is_terminal(STDIN_FILENO)) raw.emplace(TRY(berth::sys::RawMode::enter(STDIN_FILENO)));
  return berth::vmm::run_machine(description, STDIN_FILENO, STDOUT_FILENO);
}

}  // namespace

int main(int argc, char** argv) {
  berth::log::configure("berth-vmm", berth::log::Level::Info);
  if (argc == 2 && std::string_view(argv[1]) == "--unit") return berth::vmm::run_unit();
  if (argc != 2) {
    std::fputs("usage: berth-vmm MACHINE.json\n", stderr);
    return kMonitorFailed;
  }
  const auto end = run(argv[1]);
  if (!end) {
    berth::log::error("{}", end.error().message);
    return kMonitorFailed;
  }
  berth::log::info("{}", berth::vmm::describe(*end));
  return berth::vmm::exit_code(*end);
}

#include "vmm/run.hpp"

#include <fmt/core.h>

#include "vmm/machine.hpp"

namespace berth::vmm {
Result<device::End> run_machine(const Description& description, int input, int output) {
  const auto machine = TRY(Machine::create(description, TRY(Console::create(input, output))));
  machine->start();
  return machine->wait();
}

std::string describe(device::End end) {
  switch (end.kind) {
    case device::EndKind::PowerOff:
      return "the guest powered off";
    case device::EndKind::Reset:
      return "the guest reset itself";
    case device::EndKind::TripleFault:
      return fmt::format("the guest's processor {} triple-faulted", end.code);
    case device::EndKind::Panic:
      return "the guest's kernel panicked";
    case device::EndKind::DebugExit:
      return fmt::format("the guest exited with {:#x}", end.code);
    case device::EndKind::Stopped:
      return "the machine was stopped";
  }
  return "";
}

int exit_code(device::End end) {
  switch (end.kind) {
    case device::EndKind::PowerOff:
      return 0;
    case device::EndKind::DebugExit:
      return static_cast<int>(end.code & 0xff);
    case device::EndKind::Reset:
      return 64;
    case device::EndKind::TripleFault:
      return 65;
    case device::EndKind::Panic:
      return 66;
    case device::EndKind::Stopped:
      return 67;
  }
  return 125;
}

}  // namespace berth::vmm

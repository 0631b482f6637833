#include "vmm/run.hpp"

#include <fmt/core.h>

#include "device/virtio/block.hpp"
#include "device/virtio/rng.hpp"
#include "engine/kvm/backend.hpp"
#include "engine/soft/backend.hpp"
#include "sys/mapping.hpp"
#include "sys/tsc.hpp"
#include "vmm/console.hpp"
#include "vmm/load/kernel.hpp"
#include "vmm/virtual_machine.hpp"

namespace berth::vmm {
namespace {

Result<std::unique_ptr<engine::Backend>> make_backend(EngineChoice choice, const guest::GuestMemory& memory) {
  if (choice == EngineChoice::Kvm) return engine::kvm::make_backend(memory);
  if (choice == EngineChoice::Auto)
    if (auto kvm = engine::kvm::make_backend(memory)) return kvm;
  return engine::soft::make_backend(memory);
}

// Maps the kernel and the initramfs only for as long as it takes to copy them.
Result<x86::CpuState> load(const Description& description, VirtualMachine& machine) {
  const auto kernel = TRY(sys::Mapping::of_file(description.kernel));
  sys::Mapping initramfs;
  if (!description.initramfs.empty()) initramfs = TRY(sys::Mapping::of_file(description.initramfs));
  const std::uint64_t rsdp = TRY(machine.board().write_tables(machine.memory(), description.vcpus));
  return load_kernel(machine.memory(), {.file = kernel.bytes(),
                                        .initramfs = initramfs.bytes(),
                                        .command_line = description.command_line,
                                        .rsdp = rsdp});
}

Result<void> add_devices(const Description& description, VirtualMachine& machine) {
  for (const DiskDescription& disk : description.disks)
    TRY(machine.add_virtio(TRY(device::VirtioBlock::open(disk.path, disk.read_only, disk.id))));
  return machine.add_virtio(std::make_unique<device::VirtioRng>());
}

}  // namespace

Result<device::End> run_machine(const Description& description, int input, int output) {
  const auto memory = TRY(guest::GuestMemory::create(description.memory_bytes));
  const std::uint64_t tsc_hz = sys::tsc_hz();
  const auto backend = TRY(make_backend(description.engine, memory));
  const auto console = TRY(Console::create(input, output));
  VirtualMachine machine(memory, tsc_hz, console->host());
  TRY(machine.add_processors(*backend, description.vcpus));
  TRY(add_devices(description, machine));
  const x86::CpuState boot =
      TRY_DURING(fmt::format("cannot load {}", description.kernel), load(description, machine));
  console->connect(machine.board().serial());
  machine.start(boot);
  auto end = machine.wait();
  console->close();
  return end;
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

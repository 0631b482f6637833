#include "vmm/machine.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include "base/text.hpp"
#include "device/virtio/balloon.hpp"
#include "device/virtio/block.hpp"
#include "device/virtio/net.hpp"
#include "device/virtio/rng.hpp"
#include "engine/kvm/backend.hpp"
#include "engine/soft/backend.hpp"
#include "sys/mapping.hpp"
#include "sys/tsc.hpp"
#include "vmm/load/kernel.hpp"

namespace berth::vmm {
namespace {

constexpr std::string_view kHandedIn = "fd:";

// A path, or "fd:9" for a descriptor that the process was started with.
Result<sys::Fd> open_file(const std::string& path, int flags) {
  if (!path.starts_with(kHandedIn)) return sys::open(path, flags);
  const auto number = parse_u64(std::string_view(path).substr(kHandedIn.size()));
  if (!number || *number > INT32_MAX)
    return fail(Code::InvalidArgument, fmt::format("\"{}\": expected fd:NUMBER", path));
  return sys::duplicate(static_cast<int>(*number));
}

Result<sys::Mapping> map_file(const std::string& path) {
  const sys::Fd file = TRY(open_file(path, O_RDONLY));
  return sys::Mapping::of_file(file.get(), path);
}

Result<std::unique_ptr<engine::Backend>> make_backend(EngineChoice choice, const guest::GuestMemory& memory) {
  if (choice == EngineChoice::Kvm) return engine::kvm::make_backend(memory);
  if (choice == EngineChoice::Auto)
    if (auto kvm = engine::kvm::make_backend(memory)) return kvm;
  const bool interprets = choice == EngineChoice::Interpreter;
  return engine::soft::make_backend(
      memory, interprets ? engine::soft::Tiers::Interpreter : engine::soft::Tiers::Translator);
}

Result<std::unique_ptr<device::VirtioDevice>> make_network(const NetworkDescription& network) {
  sys::Fd end = TRY(open_file(network.path, O_RDWR));
  auto port = network.kind == NetworkKind::Tap ? TRY(device::TapPort::create(std::move(end)))
                                               : TRY(device::StreamPort::create(std::move(end)));
  return TRY(device::VirtioNet::create(std::move(port), network.mac));
}

}  // namespace

Machine::~Machine() {
  machine_.reset();
  console_->close();
}

Result<std::unique_ptr<Machine>> Machine::create(const Description& description,
                                                 std::unique_ptr<Console> console) {
  auto memory = TRY(guest::GuestMemory::create(description.memory_bytes));
  std::unique_ptr<Machine> made(new Machine(std::move(memory), std::move(console)));
  made->backend_ = TRY(make_backend(description.engine, made->memory_));
  made->machine_ = std::make_unique<VirtualMachine>(made->memory_, sys::tsc_hz(), made->console_->host());
  TRY(made->machine_->add_processors(*made->backend_, description.vcpus));
  for (const DiskDescription& disk : description.disks)
    TRY(made->machine_->add_virtio(TRY(device::VirtioBlock::create(
        TRY(open_file(disk.path, disk.read_only ? O_RDONLY : O_RDWR)), disk.path, disk.read_only, disk.id))));
  TRY(made->machine_->add_virtio(std::make_unique<device::VirtioRng>()));
  if (description.network) TRY(made->machine_->add_virtio(TRY(make_network(*description.network))));
  TRY(made->machine_->add_virtio(std::make_unique<device::VirtioBalloon>(made->memory_)));
  made->boot_ = TRY_DURING(fmt::format("cannot load {}", description.kernel), made->load(description));
  return made;
}

// Maps the kernel and the initramfs only for as long as it takes to copy them.
Result<x86::CpuState> Machine::load(const Description& description) {
  const auto kernel = TRY(map_file(description.kernel));
  sys::Mapping initramfs;
  if (!description.initramfs.empty()) initramfs = TRY(map_file(description.initramfs));
  const std::uint64_t rsdp = TRY(machine_->board().write_tables(memory_, description.vcpus));
  return load_kernel(memory_, {.file = kernel.bytes(),
                               .initramfs = initramfs.bytes(),
                               .command_line = description.command_line,
                               .rsdp = rsdp});
}

Result<void> Machine::add_virtio(std::unique_ptr<device::VirtioDevice> device) {
  return machine_->add_virtio(std::move(device));
}

void Machine::start() {
  console_->connect(machine_->board().serial());
  machine_->start(boot_);
}

Result<device::End> Machine::wait() {
  auto end = machine_->wait();
  console_->close();
  return end;
}

}  // namespace berth::vmm

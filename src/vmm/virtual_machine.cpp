#include "vmm/virtual_machine.hpp"

#include <fmt/core.h>

#include <chrono>

namespace berth::vmm {
namespace {

std::uint64_t realtime_ns() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

}  // namespace

VirtualMachine::VirtualMachine(const guest::GuestMemory& memory, std::uint64_t tsc_hz,
                               device::Serial::Host serial)
    : memory_(memory),
      tsc_hz_(tsc_hz),
      board_({.end = this, .timers = &timers_, .serial = std::move(serial), .pic_output = [this](bool high) {
                if (!vcpus_.empty()) vcpus_.front()->pic_pin(high);
              }}) {}

// Every thread ends before anything that it may reach: devices and timers interrupt the processors, and
// tell them what was written.
VirtualMachine::~VirtualMachine() {
  for (const auto& vcpu : vcpus_) vcpu->stop();
  for (const auto& vcpu : vcpus_) vcpu->join();
  virtio_.clear();
  timers_.stop();
}

Result<void> VirtualMachine::add_processors(engine::Backend& backend, unsigned count) {
  BERTH_ASSERT(vcpus_.empty());
  if (count == 0 || count > kMaxVcpus)
    return fail(Code::InvalidArgument, fmt::format("vcpus: {} is not between 1 and {}", count, kMaxVcpus));
  VcpuOwner& owner = *this;
  const std::uint64_t start_ns = timers_.now_ns();
  const std::uint64_t start_tsc = __builtin_ia32_rdtsc();
  for (unsigned index = 0; index < count; ++index) {
    const Vcpu::Place place{index, count, tsc_hz_, start_tsc, start_ns, realtime_ns()};
    vcpus_.push_back(std::make_unique<Vcpu>(place, board_, timers_, memory_, owner));
    TRY_DURING(fmt::format("cannot make vCPU {} ({})", index, backend.name()),
               vcpus_.back()->attach(backend));
  }
  return {};
}

Result<void> VirtualMachine::add_virtio(std::unique_ptr<device::VirtioDevice> device) {
  auto written = [this](guest::Gpa address, std::uint64_t bytes) {
    for (const auto& vcpu : vcpus_) vcpu->memory_written(address, bytes);
  };
  virtio_.push_back(std::make_unique<device::VirtioPci>(std::move(device), memory_, board_.apics(), written));
  if (!board_.pci().add(*virtio_.back()))
    return fail(Code::ResourceExhausted, "cannot add a device: the machine's PCI bus is full");
  return {};
}

void VirtualMachine::start(const x86::CpuState& boot) {
  for (std::size_t i = 0; i < vcpus_.size(); ++i) vcpus_[i]->start(i == 0 ? &boot : nullptr);
}

void VirtualMachine::finish(Result<device::End> result) {
  {
    const std::lock_guard lock(mutex_);
    if (!result_) result_ = std::move(result);
  }
  ended_.notify_all();
  for (const auto& vcpu : vcpus_) vcpu->stop();
}

void VirtualMachine::end(device::End end) { finish(end); }
void VirtualMachine::failed(Error error) { finish(fail(std::move(error))); }

Result<device::End> VirtualMachine::wait() {
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [&] { return result_.has_value(); });
  lock.unlock();
  for (const auto& vcpu : vcpus_) vcpu->join();
  return *result_;
}

}  // namespace berth::vmm

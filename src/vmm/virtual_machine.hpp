// A machine: memory, board and processors, from its start to its end.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "device/time/timer_queue.hpp"
#include "device/virtio/pci.hpp"
#include "vmm/vcpu.hpp"

namespace berth::vmm {

inline constexpr unsigned kMaxVcpus = 8;

class VirtualMachine final : private VcpuOwner {
 public:
  // `serial` as Serial::Host says. The backend and the memory outlive the machine.
  VirtualMachine(const guest::GuestMemory& memory, std::uint64_t tsc_hz, device::Serial::Host serial);
  ~VirtualMachine() override;

  Board& board() { return board_; }
  device::Timers& timers() { return timers_; }
  const guest::GuestMemory& memory() const { return memory_; }

  // Once; 1 to kMaxVcpus.
  Result<void> add_processors(engine::Backend& backend, unsigned count);
  // Before the start. ResourceExhausted where the bus is full.
  Result<void> add_virtio(std::unique_ptr<device::VirtioDevice> device);
  void start(const x86::CpuState& boot);
  // From outside; the end is then Stopped, unless there was one before.
  void stop() { end({device::EndKind::Stopped}); }
  // Blocks until the machine has ended and no processor runs any more. An error is the monitor's own failure.
  Result<device::End> wait();

 private:
  void end(device::End end) override;
  void failed(Error error) override;
  void finish(Result<device::End> result);

  const guest::GuestMemory& memory_;
  const std::uint64_t tsc_hz_;
  device::TimerQueue timers_;
  Board board_;
  std::vector<std::unique_ptr<device::VirtioPci>> virtio_;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<Result<device::End>> result_;
};

}  // namespace berth::vmm

// A machine made from its description: memory, engine, board, disks and console, its kernel loaded.
#pragma once

#include <memory>

#include "device/end.hpp"
#include "vmm/console.hpp"
#include "vmm/description.hpp"
#include "vmm/virtual_machine.hpp"

namespace berth::vmm {

class Machine {
 public:
  static Result<std::unique_ptr<Machine>> create(const Description& description,
                                                 std::unique_ptr<Console> console);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  Result<void> add_virtio(std::unique_ptr<device::VirtioDevice> device);  // before the start
  void start();
  void stop() { machine_->stop(); }  // any thread
  // Blocks until the guest has ended and the console has been written. An error is the monitor's own failure.
  Result<device::End> wait();

 private:
  Machine(guest::GuestMemory memory, std::unique_ptr<Console> console)
      : memory_(std::move(memory)), console_(std::move(console)) {}
  Result<x86::CpuState> load(const Description& description);

  guest::GuestMemory memory_;  // its place does not change: the engine refers to it
  std::unique_ptr<engine::Backend> backend_;
  std::unique_ptr<Console> console_;
  std::unique_ptr<VirtualMachine> machine_;
  x86::CpuState boot_;
};

}  // namespace berth::vmm

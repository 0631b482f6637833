// A processor of the software engine with a kernel around it that does nothing but take exceptions: each ends
// the case.
#pragma once

#include <memory>

#include "engine/soft/machine_fixture.hpp"
#include "engine/soft/tiers.hpp"
#include "guest/memory.hpp"
#include "layout.hpp"

namespace berth::judge {

class GuestProcessor {
 public:
  static Result<std::unique_ptr<GuestProcessor>> create(engine::soft::Tiers tiers);

  // false: it was kicked, or ended as no ring 3 code can.
  bool run(const Case& what, Outcome& outcome);
  void kick() { engine_->kick(); }

 private:
  explicit GuestProcessor(guest::GuestMemory memory) : memory_(std::move(memory)) {}
  void make_kernel();
  void make_tables();
  void put(std::uint64_t address, std::uint64_t value);
  std::uint64_t get(std::uint64_t address) const;
  x86::CpuState state_of(const Registers& start) const;

  engine::soft::EmptyMachine machine_;
  guest::GuestMemory memory_;
  std::unique_ptr<engine::VcpuEngine> engine_;
};

}  // namespace berth::judge

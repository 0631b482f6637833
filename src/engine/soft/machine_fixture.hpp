// For tests of the engine alone: a machine around it in which nothing is.
#pragma once

#include "engine/vcpu.hpp"

namespace berth::engine::soft {

class EmptyMachine final : public Machine {
 public:
  bool interrupt_pending() override { return false; }
  std::optional<std::uint8_t> take_interrupt() override { return std::nullopt; }
  std::uint64_t task_priority() override { return 0; }
  void set_task_priority(std::uint64_t) override {}
  bool read_msr(std::uint32_t, std::uint64_t&) override { return false; }
  bool write_msr(std::uint32_t, std::uint64_t) override { return false; }
  CpuidResult cpuid(std::uint32_t, std::uint32_t) override { return {}; }
};

}  // namespace berth::engine::soft

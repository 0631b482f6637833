// One kind of engine, for one machine: makes its virtual processors and says what they can do.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/vcpu.hpp"

namespace berth::engine {

// One answer of CPUID; `indexed` where it depends on the subleaf.
struct CpuidEntry {
  std::uint32_t leaf = 0, subleaf = 0;
  bool indexed = false;
  CpuidResult result;
};
using CpuidTable = std::vector<CpuidEntry>;

// Zeros where the table has no such leaf.
CpuidResult look_up(const CpuidTable& table, std::uint32_t leaf, std::uint32_t subleaf);

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string_view name() const = 0;
  // What its processors offer at most: the host's features that it can honour. Nothing of topology, time or
  // interrupt controllers; the machine adds those.
  virtual const CpuidTable& features() const = 0;
  // At most one for each index; `cpuid` is what `machine` answers too. Both outlive the engine.
  virtual Result<std::unique_ptr<VcpuEngine>> make_vcpu(unsigned index, Machine& machine,
                                                        const CpuidTable& cpuid) = 0;
};

}  // namespace berth::engine

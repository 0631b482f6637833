#include "vmm/load/layout.hpp"

#include "device/pci/host.hpp"

namespace berth::vmm {

std::vector<MemoryRange> memory_map(const guest::GuestMemory& memory) {
  const guest::Region& low = memory.regions().front();
  std::vector<MemoryRange> map{
      {0, kLowRamEnd, RangeType::Ram},
      {kLowRamEnd, kHighRamStart - kLowRamEnd, RangeType::Reserved},
      {kHighRamStart, low.bytes - kHighRamStart, RangeType::Ram},
      {device::kEcamBase, device::kEcamBytes, RangeType::Reserved},
  };
  for (std::size_t i = 1; i < memory.regions().size(); ++i)
    map.push_back({guest::value(memory.regions()[i].start), memory.regions()[i].bytes, RangeType::Ram});
  return map;
}

}  // namespace berth::vmm

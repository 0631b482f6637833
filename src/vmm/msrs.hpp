// The model-specific registers that are the machine's and have no device behind them: memory types, machine
// check, identification. Stored as a guest left them; none has an effect.
#pragma once

#include <cstdint>
#include <map>

namespace berth::vmm {

class PlainMsrs {
 public:
  PlainMsrs();
  bool read(std::uint32_t index, std::uint64_t& value) const;  // false: no such register
  bool write(std::uint32_t index, std::uint64_t value);        // false: none, or read-only

 private:
  std::map<std::uint32_t, std::uint64_t> values_;
};

}  // namespace berth::vmm

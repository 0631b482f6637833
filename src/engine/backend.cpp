#include "engine/backend.hpp"

namespace berth::engine {

CpuidResult look_up(const CpuidTable& table, std::uint32_t leaf, std::uint32_t subleaf) {
  for (const CpuidEntry& entry : table)
    if (entry.leaf == leaf && (!entry.indexed || entry.subleaf == subleaf)) return entry.result;
  return {};
}

}  // namespace berth::engine

#include "unit/unit.hpp"

#include "unit/units.hpp"

namespace berth::unit {

const std::vector<Unit*>& all_units() {
  static const std::vector<Unit*> units = {&process_unit(), &container_unit(), &vm_unit(), &machine_unit()};
  return units;
}

Unit& unit_of(UnitKind kind) {
  for (Unit* unit : all_units()) {
    if (unit->kind() == kind) return *unit;
  }
  BERTH_ASSERT(false);
}

}  // namespace berth::unit

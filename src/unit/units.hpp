// The members of the family; unit_of() is how the rest of berth gets at them.
#pragma once

#include "unit/unit.hpp"

namespace berth::unit {

Unit& process_unit();
Unit& container_unit();
Unit& vm_unit();
Unit& machine_unit();

}  // namespace berth::unit

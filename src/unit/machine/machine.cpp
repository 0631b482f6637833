#include "unit/unavailable.hpp"
#include "unit/units.hpp"

namespace berth::unit {
namespace {

class Machine final : public UnavailableUnit {
 public:
  UnitKind kind() const override { return UnitKind::Machine; }
  Result<void> probe() const override {
    return fail(Code::Unimplemented,
                "this version of berth cannot provision whole machines yet, and none are registered; use "
                "--unit container");
  }
};

}  // namespace

Unit& machine_unit() {
  static Machine unit;
  return unit;
}

}  // namespace berth::unit

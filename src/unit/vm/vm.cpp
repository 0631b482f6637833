#include <fcntl.h>
#include <fmt/core.h>

#include <cstring>

#include "sys/fd.hpp"
#include "unit/unavailable.hpp"
#include "unit/units.hpp"

namespace berth::unit {
namespace {

class Vm final : public UnavailableUnit {
 public:
  UnitKind kind() const override { return UnitKind::Vm; }
  Result<void> probe() const override {
    const auto kvm = sys::open("/dev/kvm", O_RDWR);
    const std::string engine =
        kvm ? "/dev/kvm is here" : fmt::format("/dev/kvm: {}", std::strerror(kvm.error().sys_errno));
    return fail(
        Code::Unimplemented,
        fmt::format(
            "this version of berth cannot run images in a virtual machine yet ({}); use --unit container",
            engine));
  }
};

}  // namespace

Unit& vm_unit() {
  static Vm unit;
  return unit;
}

}  // namespace berth::unit

// A unit that cannot run yet: every call gives the reason that probe() gives.
#pragma once

#include "unit/unit.hpp"

namespace berth::unit {

class UnavailableUnit : public Unit {
 public:
  Result<void> supported() const final { return probe(); }
  std::vector<std::string> isolates(const UnitConfig&) const final { return {}; }
  std::vector<std::string> shares(const UnitConfig&) const final { return {}; }
  Result<void> check(const UnitConfig&) const final { return probe(); }
  Result<Launched> launch(const UnitConfig&, const isolate::InstancePaths&, const Stdio&) final {
    return reason();
  }
  Result<Launched> exec(const UnitConfig&, const InstancePaths&, const Running&, const ExecConfig&,
                        const Stdio&) final {
    return reason();
  }
  Result<void> pause(const UnitConfig&, bool) final { return probe(); }
  Result<void> update(const UnitConfig&, const sys::Resources&) final { return probe(); }
  Result<sys::CgroupStats> stats(const UnitConfig&) final { return reason(); }
  Result<std::vector<pid_t>> pids(const UnitConfig&, const Running&) final { return reason(); }
  Result<void> cleanup(const UnitConfig&) final { return {}; }

 private:
  Failure reason() const { return fail(probe().error()); }
};

}  // namespace berth::unit

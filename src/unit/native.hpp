// What the two units that share the host's kernel have in common: a table of isolators, one launcher, one
// control group.
#pragma once

#include "isolate/isolator.hpp"
#include "unit/unit.hpp"

namespace berth::unit {

class NativeUnit : public Unit {
 public:
  Result<Launched> launch(const UnitConfig& config, const isolate::InstancePaths& paths,
                          const Stdio& stdio) final;
  Result<Launched> exec(const UnitConfig& config, const isolate::InstancePaths& paths, const Running& running,
                        const ExecConfig& exec, const Stdio& stdio) final;
  Result<void> pause(const UnitConfig& config, bool paused) final;
  Result<void> update(const UnitConfig& config, const sys::Resources& resources) final;
  Result<sys::CgroupStats> stats(const UnitConfig& config) final;
  Result<std::vector<pid_t>> pids(const UnitConfig& config, const Running& running) final;
  Result<void> cleanup(const UnitConfig& config) final;

 protected:
  // In the order of preparation.
  virtual const isolate::IsolatorTable& isolators() const = 0;
};

}  // namespace berth::unit

// An isolator that does the same for a unit's first process and for each that joins later.
#pragma once

#include <string_view>

#include "isolate/isolator.hpp"

namespace berth::isolate {

class EveryProcess final : public Isolator {
 public:
  using Add = Result<void> (*)(const UnitConfig& config, LaunchPlan& plan);
  EveryProcess(std::string_view name, Add add) : name_(name), add_(add) {}

  std::string_view name() const override { return name_; }
  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    return add_(instance.config, plan);
  }
  Result<void> prepare_exec(const ExecTarget& target, LaunchPlan& plan) const override {
    return add_(target.config, plan);
  }

 private:
  std::string_view name_;
  Add add_;
};

}  // namespace berth::isolate

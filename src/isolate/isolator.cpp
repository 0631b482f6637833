#include "isolate/isolator.hpp"

namespace berth::isolate {

Result<void> prepare_all(const IsolatorTable& table, const Instance& instance, LaunchPlan& plan) {
  for (const Isolator* isolator : table) TRY(isolator->prepare(instance, plan));
  return {};
}

Result<void> prepare_exec_all(const IsolatorTable& table, const ExecTarget& target, LaunchPlan& plan) {
  for (const Isolator* isolator : table) TRY(isolator->prepare_exec(target, plan));
  return {};
}

Result<void> cleanup_all(const IsolatorTable& table, const UnitConfig& config) {
  Result<void> first;
  for (auto it = table.rbegin(); it != table.rend(); ++it) {
    auto cleaned = (*it)->cleanup(config);
    if (!cleaned && first) first = std::move(cleaned);
  }
  return first;
}

}  // namespace berth::isolate

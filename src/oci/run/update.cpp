#include "oci/run/update.hpp"

#include <fmt/core.h>

#include "isolate/cgroup.hpp"
#include "oci/run/scope.hpp"
#include "oci/state/state.hpp"

namespace berth::oci {

Result<void> update(const std::string& root, const std::string& id, const isolate::RuntimeResources& wanted) {
  ContainerDir dir = TRY(ContainerDir::open(root, id));
  TRY(dir.lock());
  const State state = TRY(State::load(dir));
  if (TRY(status_of(dir, state)) == Status::Stopped)
    return fail(Code::FailedPrecondition,
                fmt::format("cannot update container {}: container not running", id));
  auto group = state.cgroup.empty() ? nullptr : TRY(isolate::find_cgroup_at(state.cgroup));
  if (!group)
    return fail(Code::FailedPrecondition,
                fmt::format("cannot update container {}: it has no control group", id));
  TRY(isolate::apply_runtime_resources(*group, wanted));
  return update_scope(state, *group, wanted);
}

}  // namespace berth::oci

// A container's systemd scope (--systemd-cgroup): systemd makes and keeps its group, we fill it.
#pragma once

#include "base/result.hpp"
#include "isolate/runtime_resources.hpp"
#include "oci/spec/spec.hpp"
#include "oci/state/state.hpp"
#include "sys/cgroup.hpp"
#include "sys/stand_in.hpp"

namespace berth::oci {

// Keeps a new scope from vanishing until the container's own process is in it.
class Scope {
 public:
  // Makes the scope that linux.cgroupsPath names ("": berth-oci-ID.scope in system.slice), with the limits as
  // its properties, and notes it and its group in `state`, which is saved before and after.
  static Result<Scope> start(const Spec& spec, State& state, const ContainerDir& dir);

 private:
  explicit Scope(sys::StandIn stand_in) : stand_in_(std::move(stand_in)) {}
  sys::StandIn stand_in_;
};

// Where an ordinary user's systemd has its groups elsewhere, the kernel lets only it move processes of ours
// to them: this process goes first, into a scope that ends with it, as systemd-run(1) would do it.
Result<void> enter_users_systemd();

// Tells systemd what was changed, lest it changes it back. Nothing to do for a container without a unit.
Result<void> update_scope(const State& state, sys::Cgroup& group, const isolate::RuntimeResources& wanted);

// Absent is fine.
Result<void> stop_scope(const State& state);

}  // namespace berth::oci

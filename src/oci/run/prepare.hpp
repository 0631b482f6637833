// What making a container begins with: its bundle is read and checked, its state drawn up, its group made.
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"
#include "oci/run/create.hpp"
#include "sys/cgroup.hpp"

namespace berth::oci {

struct Prepared {
  Spec spec;
  State state;
  std::string config;  // the text that `spec` was read from
};

// Touches nothing. InvalidArgument for a request that contradicts the configuration.
Result<Prepared> prepare(const CreateRequest& request);

// The control group; null where this user may make none.
Result<std::unique_ptr<sys::Cgroup>> make_group(const State& state);

// Its limits and device rules.
Result<void> fill_group(sys::Cgroup& group, const Spec& spec);

}  // namespace berth::oci

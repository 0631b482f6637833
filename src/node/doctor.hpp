// What this machine can run, which features it has or lacks, and why. Everything is found out by trying
// (sys/probe.hpp).
#pragma once

#include <string>
#include <vector>

#include "base/json.hpp"
#include "sys/paths.hpp"

namespace berth::node {

struct Finding {
  std::string area;  // "units", "kernel", "limits", "store", ...
  std::string name;
  bool present = false;
  std::string detail;  // what there is, or why there is not
};

struct Diagnosis {
  std::vector<Finding> findings;  // by area, units first
  bool can_run_containers = false;
  Json to_json() const;
};

// Looks at the machine as the calling user sees it, for a store at `paths.root` (which need not exist yet).
// An ordinary user is in the user namespace of their units afterwards, as these are asked there whether they
// can run. Takes some tens of milliseconds, leaves nothing behind. For single-threaded callers.
Diagnosis diagnose(const sys::Paths& paths);

}  // namespace berth::node

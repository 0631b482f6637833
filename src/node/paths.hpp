// Where an instance's files lie, and the lock that says who looks after it.
#pragma once

#include <chrono>
#include <string>

#include "base/result.hpp"
#include "isolate/config.hpp"
#include "sys/fd.hpp"

namespace berth::node {

// One node: everything that shares a --root.
struct Paths {
  std::string root;  // survives a reboot
  std::string run;   // does not

  // The user's default for an empty `root`; makes both directories, open to their owner only.
  static Result<Paths> of(const std::string& root);

  std::string database() const { return root + "/berth.db"; }
  std::string state_dir(const std::string& id) const { return root + "/instances/" + id; }
  std::string run_dir(const std::string& id) const { return run + "/instances/" + id; }
  std::string log_file(const std::string& id) const { return state_dir(id) + "/output.log"; }
  isolate::InstancePaths instance(const std::string& id) const { return {state_dir(id), run_dir(id), root}; }
};

// Whoever holds an instance's lock is its owner: its creator, then its monitor, then its remover. The lock
// goes with the descriptor, also through exec, and is released by any death. Makes the run directory where it
// is missing.
Result<sys::Fd> try_lock_instance(const Paths& paths,
                                  const std::string& id);  // an empty Fd: somebody owns it
// Waits for the owner to go; DeadlineExceeded after `timeout`.
Result<sys::Fd> lock_instance(const Paths& paths, const std::string& id, std::chrono::milliseconds timeout);

}  // namespace berth::node

// What this kernel and this user can really do, found out by doing it: each probe acts in a forked child that
// is thrown away, in namespaces of its own, and leaves nothing behind. For single-threaded callers. An error
// says why not.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace berth::sys {

// Runs `attempt` in a child and hands its result back; Aborted where the child died on the way.
Result<void> try_in_child(const std::function<Result<void>()>& attempt);

// For such a child: makes it root of a new user namespace that maps nobody else. Needs no privilege.
Result<void> become_root_of_user_namespace();

// The kinds of namespace a unit is made of. An ordinary user tries inside a user namespace of their own.
struct NamespaceProbe {
  std::string name;  // "mount"
  Result<void> usable;
};
std::vector<NamespaceProbe> probe_each_namespace();
// A user namespace with this user as its root.
Result<void> probe_user_namespace();

// An overlay of two directories made below `directory`, with a file of the lower one deleted through it; with
// `user_namespace` inside one, as an ordinary user has to.
Result<void> probe_overlay(const std::string& directory, bool user_namespace);
// fsopen(2), fsmount(2), move_mount(2).
Result<void> probe_mount_api();
// A mount of `directory` whose owners a user namespace shifts.
Result<void> probe_idmapped_mount(const std::string& directory);

// A seccomp filter that is then seen to act.
Result<void> probe_seccomp();
// The exit status of a process that is not a child (PIDFD_GET_INFO, Linux 6.15).
Result<void> probe_foreign_exit_status();
// A virtual machine made by /dev/kvm.
Result<void> probe_kvm();

}  // namespace berth::sys

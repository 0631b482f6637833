// Which namespaces are new, which are joined, and what makes new ones fit to live in.
#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>

#include "isolate/process_attributes.hpp"
#include "oci/plan/context.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"
#include "sys/process_attributes.hpp"

namespace berth::oci {
namespace {

Result<void> join(const Namespace& entry, isolate::LaunchPlan& plan) {
  sys::Fd fd = TRY_DURING("linux.namespaces", sys::open(entry.path, O_RDONLY));
  TRY_DURING(fmt::format("linux.namespaces: {}", entry.path), sys::check_namespace(fd.get(), entry.kind));
  plan.joins.push_back({std::move(fd), entry.kind});
  return {};
}

}  // namespace

Result<void> plan_namespaces(const Creation& creation, isolate::LaunchPlan& plan) {
  const Namespaces& namespaces = creation.spec.platform.namespaces;
  if (namespaces.find(CLONE_NEWNS) == nullptr) {
    return fail(
        Code::InvalidArgument,
        "linux.namespaces: a container needs a mount namespace: without one its mounts would be the host's");
  }
  for (const Namespace& entry : namespaces.list) {
    if (!entry.path.empty())
      TRY(join(entry, plan));
    else if (entry.kind != CLONE_NEWCGROUP)  // made once inside the control group
      plan.new_namespaces |= static_cast<std::uint64_t>(entry.kind);
  }
  if (const auto personality = creation.spec.platform.personality)
    isolate::add_personality(plan, *personality);
  if (creation.options.new_keyring) isolate::add_session_keyring(plan, creation.state.id);
  plan.uid_mappings = namespaces.uid_mappings;
  plan.gid_mappings = namespaces.gid_mappings;
  plan.time_offsets = namespaces.time_offsets;
  if (namespaces.find(CLONE_NEWUSER) != nullptr) {
    plan.then("become root of the user namespace", [keep = creation.spec.wishes.keep_groups]() noexcept {
      return sys::set_user(0, 0, nullptr, 0, !keep && sys::may_set_groups());
    });
  }
  return {};
}

Result<void> plan_names(const Creation& creation, isolate::LaunchPlan& plan) {
  const Spec& spec = creation.spec;
  if (!spec.hostname.empty()) {
    plan.then("set the hostname",
              [name = spec.hostname]() noexcept { return sys::set_hostname(name.data(), name.size()); });
  }
  if (!spec.domainname.empty()) {
    plan.then("set the domain name",
              [name = spec.domainname]() noexcept { return sys::set_domainname(name.data(), name.size()); });
  }
  if (spec.platform.namespaces.is_new(CLONE_NEWNET))
    plan.then("bring up the loopback interface", sys::bring_up_loopback);
  return {};
}

}  // namespace berth::oci

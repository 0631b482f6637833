#include "oci/run/features.hpp"

#include "base/json_value.hpp"
#include "isolate/mount_options.hpp"
#include "isolate/seccomp_profile.hpp"
#include "oci/spec/annotations.hpp"
#include "oci/spec/hooks.hpp"
#include "oci/spec/namespaces.hpp"
#include "oci/spec/spec.hpp"
#include "sys/capability.hpp"
#include "sys/seccomp.hpp"

namespace berth::oci {
namespace {

Json seccomp_features() {
  const isolate::SeccompWords words = isolate::seccomp_words();
  return {{"enabled", true},
          {"actions", words.actions},
          {"operators", words.operators},
          {"archs", sys::seccomp_architectures()},
          {"knownFlags", words.flags},
          {"supportedFlags", words.supported_flags}};
}

Json linux_features() {
  Json namespaces = Json::array();
  for (const NamespaceKind& kind : namespace_kinds()) namespaces.push_back(kind.name);
  return {{"namespaces", std::move(namespaces)},
          {"capabilities", sys::capability_names(sys::all_capabilities())},
          {"cgroup", {{"v1", true}, {"v2", true}, {"systemd", true}, {"systemdUser", true}, {"rdma", true}}},
          {"seccomp", seccomp_features()},
          {"apparmor", {{"enabled", true}}},
          {"selinux", {{"enabled", true}}},
          {"intelRdt", {{"enabled", false}}},
          {"mountExtensions", {{"idmap", {{"enabled", true}}}}}};
}

}  // namespace

std::string describe_features() {
  const Json features = {{"ociVersionMin", kMinVersion},
                         {"ociVersionMax", kMaxVersion},
                         {"hooks", kHookStages},
                         {"mountOptions", isolate::mount_option_words()},
                         {"linux", linux_features()},
                         {"annotations", {{"org.berth.oci.version", BERTH_VERSION}}},
                         {"potentiallyUnsafeConfigAnnotations", unsafe_annotations()}};
  return features.dump(2) + "\n";
}

}  // namespace berth::oci

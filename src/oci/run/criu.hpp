// CRIU, the program that writes processes to files and makes them again (criu(8)): what it is asked.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "oci/run/criu_rpc.hpp"
#include "oci/spec/spec.hpp"
#include "oci/state/state.hpp"
#include "sys/fd.hpp"

namespace berth::oci {

struct CriuOptions {
  std::string program;     // --criu; "": criu in PATH
  std::string image_dir;   // made where it is absent
  std::string work_dir;    // for logs; "": the image directory
  std::string parent_dir;  // relative to the image directory: of an earlier pre-dump
  bool tcp_established = false;
  bool unix_sockets = false;
  bool shell_job = false;  // takes the terminal that CRIU is on, for a container without its own
  bool file_locks = false;
  bool auto_dedup = false;
};

// The processes go on after a pre-dump (which writes memory alone), and where `leave_running` says so.
struct Dump {
  bool leave_running = false;
  bool pre_dump = false;
};

// A namespace of somebody else's that a restored container is in, and its name in the images.
struct InheritedNamespace {
  sys::Fd fd;
  std::string name;
};

// The directories that CRIU works in, open.
struct CriuPlaces {
  sys::Fd images;
  sys::Fd work;
};
Result<CriuPlaces> open_places(const CriuOptions& options);

// FailedPrecondition for what CRIU could not make again: a namespace that is somebody else's (a network or
// process namespace may be: it is left out of the images).
Result<void> check_criu_can(const Spec& spec);

// A bind mount's source on the host; a relative one is below the bundle.
std::string source_of(const isolate::MountRequest& mount, const std::string& bundle);

// `freezer`: the group's directory by which it is stopped meanwhile; "": none.
CriuRequest dump_request(const CriuOptions& options, const CriuPlaces& places, const Dump& dump,
                         const Spec& spec, const State& state, const std::string& freezer);
// Those of the configuration that the images do not have. An error where the path is not such a namespace.
Result<std::vector<InheritedNamespace>> open_outside(const Spec& spec);
// `root` is a mount of the root file system. `pipes`: what descriptors 0 to 2 were, as readlink(2) tells.
CriuRequest restore_request(const CriuOptions& options, const CriuPlaces& places, const Spec& spec,
                            const std::string& bundle, const std::string& root,
                            const std::vector<std::string>& pipes,
                            const std::vector<InheritedNamespace>& namespaces);

// FailedPrecondition where there is no such program, with how to get it.
Result<std::string> find_criu(const std::string& program);

// Where CRIU writes its log `name`, one of these.
std::string log_path(const CriuOptions& options, const char* name);

inline constexpr const char* kDumpLog = "dump.log";
inline constexpr const char* kRestoreLog = "restore.log";
inline constexpr const char* kDescriptorsFile = "descriptors.json";  // as runc and crun have it

}  // namespace berth::oci

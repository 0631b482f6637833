// What a person asked for, fully resolved: the image's defaults merged with the command line's options. This
// is what is kept for an instance (as JSON) and what every start, also after a crash, is made from.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "sys/cgroup.hpp"

namespace berth::isolate {

enum class UnitKind { Process, Container, Vm, Machine };
std::string_view unit_name(UnitKind kind);  // "process"
Result<UnitKind> parse_unit(std::string_view name);

// Where the root file system comes from. Empty `layers` and `directory`: the host's own root (process unit
// only).
struct Rootfs {
  std::vector<std::string> layers;  // unpacked layers, top first; composed by overlay
  std::string directory;            // or one ready directory
  bool read_only = false;
  bool user_xattrs = false;  // what layers hide is marked by user.overlay.* whoever mounts them
  bool empty() const { return layers.empty() && directory.empty(); }
};

// -v and --tmpfs, as asked.
struct VolumeMount {
  std::string source;       // absolute host path; "" for a tmpfs
  std::string destination;  // absolute path in the unit
  bool read_only = false;
  bool tmpfs = false;
  std::uint64_t tmpfs_size_bytes = 0;  // 0: the kernel's default
};

struct DeviceMapping {
  std::string host_path;
  std::string unit_path;
  std::string access = "rwm";
};

struct Rlimit {
  std::string name;  // "nofile"
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;  // UINT64_MAX: unlimited
};

enum class RestartMode { No, OnFailure, Always, UnlessStopped };
struct RestartPolicy {
  RestartMode mode = RestartMode::No;
  unsigned max_retries = 0;  // OnFailure only; 0: no bound
};

// User and Tap are a virtual machine's: by a process of this user's, and by a tap device of the host's.
enum class NetworkMode { None, Host, User, Tap };

// The one interface of a virtual machine's guest.
struct GuestInterface {
  std::string tap;               // NetworkMode::Tap: the host's device
  std::string address;           // "10.0.2.15/24"
  std::string gateway;           // "": none
  std::vector<std::string> dns;  // addresses of name servers
};

struct UserMapping {  // --userns: container 0..count-1 to host_start..
  std::uint32_t host_start = 0;
  std::uint32_t count = 0;
};

struct UnitConfig {
  std::string id;  // 64 hex digits
  std::string name;
  UnitKind unit = UnitKind::Container;
  std::string image;     // as resolved: "docker.io/library/busybox:latest"; "" without image
  std::string image_id;  // config digest

  Rootfs rootfs;
  std::vector<std::string> args;  // entrypoint and command; never empty
  std::vector<std::string> env;   // "K=V", unique keys
  std::string cwd = "/";
  std::string user;  // "USER[:GROUP]", names or numbers; "" is root
  std::string hostname;
  bool tty = false;
  bool stdin_open = false;
  bool init = false;  // --init: a small reaper as PID 1

  NetworkMode network = NetworkMode::None;
  // Given with Tap, and inside a guest, whose workload has Host: all of the guest's.
  std::optional<GuestInterface> interface;
  std::vector<VolumeMount> volumes;
  std::vector<DeviceMapping> devices;
  std::vector<Rlimit> rlimits;
  std::map<std::string, std::string> sysctls;
  sys::Resources resources;

  std::vector<std::string> cap_add;  // "NET_ADMIN" or "ALL"
  std::vector<std::string> cap_drop;
  bool privileged = false;
  bool no_new_privileges = true;
  std::string seccomp = "default";  // "default", "unconfined" or a profile's JSON text
  std::optional<UserMapping> userns;

  RestartPolicy restart;
  int stop_signal = 15;
  std::chrono::milliseconds stop_timeout{10000};
  bool remove_on_exit = false;  // --rm
  std::map<std::string, std::string> labels;
  std::int64_t created_ns = 0;  // since the epoch

  // Whether no network of others' is seen from within.
  bool owns_network() const { return network != NetworkMode::Host || interface.has_value(); }

  Json to_json() const;
  static Result<UnitConfig> from_json(const JsonView& view);
};

// Directories of one instance; both exist before a launch.
struct InstancePaths {
  std::string state;  // survives a reboot: upper/, work/, logs
  std::string run;    // does not: sockets, pipes
  std::string root;   // what all instances share; the kernels lie there
};

// What the workload gets as descriptors 0, 1 and 2. With `tty` they are one new pseudo-terminal, made inside
// the unit (so that its own /dev/pts names it) and made the controlling one; `fds` are then not used.
struct Stdio {
  std::array<int, 3> fds{0, 1, 2};
  bool tty = false;
};

}  // namespace berth::isolate

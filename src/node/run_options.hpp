// From what is typed after `berth run` and what the image says to what is run: a pure function but for the
// files that options name.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "image/store/store.hpp"
#include "isolate/config.hpp"

namespace berth::node {

// Each as typed. "" and empty: not given.
struct RunOptions {
  std::string unit = "container";
  std::string name;
  std::string image;  // "": a host command, process unit only
  std::vector<std::string> command;

  bool interactive = false;
  bool tty = false;
  bool remove = false;
  bool init = false;
  bool read_only = false;
  bool privileged = false;

  std::vector<std::string> env;
  std::vector<std::string> env_files;
  std::vector<std::string> labels;
  std::string workdir;
  std::string user;
  std::string hostname;
  std::optional<std::string> entrypoint;  // given and "": none

  std::vector<std::string> volumes;
  std::vector<std::string> tmpfs;
  std::vector<std::string> devices;
  std::vector<std::string> publish;
  std::string network;

  std::string cpus;
  std::string cpu_weight;
  std::string cpuset;
  std::string memory;
  std::string memory_low;
  std::string swap;
  std::string pids;
  std::string io_weight;
  std::vector<std::string> io_max;
  std::vector<std::string> ulimits;
  std::vector<std::string> sysctls;

  std::vector<std::string> cap_add;
  std::vector<std::string> cap_drop;
  std::vector<std::string> security;
  std::string userns;

  std::string restart;
  std::string stop_signal;
  std::string stop_timeout;
};

// `image` is null for a host command. The id is new, the name as given or generated. InvalidArgument names
// the option.
Result<isolate::UnitConfig> make_config(const RunOptions& options, const image::ResolvedImage* image);

// Parts that update and exec share.
Result<sys::Resources> make_resources(const RunOptions& options);
Result<isolate::RestartPolicy> parse_restart(const std::string& text);
std::string restart_text(const isolate::RestartPolicy& policy);
// "K=V" as it is; "K" with the caller's value, or nothing where the caller has none. Later ones replace
// earlier ones.
Result<void> add_env(std::vector<std::string>& env, const std::string& setting);
// The same for each line of a file; blank lines and those that begin with '#' are skipped.
Result<void> add_env_file(std::vector<std::string>& env, const std::string& path);

}  // namespace berth::node

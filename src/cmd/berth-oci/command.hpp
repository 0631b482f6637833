// The commands of berth-oci: each reads its options and calls oci/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth::cmd {

struct Globals {
  std::string root;
  std::string log;
  std::string log_format = "text";
  std::string log_level;
  std::string rootless;
  std::string criu;
  std::string cgroup_manager;
  bool systemd_cgroup = false;
  bool debug = false;
};

using Args = std::vector<std::string>;
// The exit code.
using CommandBody = Result<int> (*)(const Globals& globals, const Args& args);

struct OciCommand {
  std::string_view name;
  std::string_view operands;  // as the usage shows them
  std::string_view summary;
  CommandBody body;
  std::vector<std::string_view> options = {};  // lines for --help
  bool enters = false;                         // starts processes in a container
};
const std::vector<OciCommand>& oci_commands();

Result<int> run_checkpoint(const Globals& globals, const Args& args);
Result<int> run_completion(const Globals& globals, const Args& args);
Result<int> run_create(const Globals& globals, const Args& args);
Result<int> run_start(const Globals& globals, const Args& args);
Result<int> run_run(const Globals& globals, const Args& args);
Result<int> run_exec(const Globals& globals, const Args& args);
Result<int> run_events(const Globals& globals, const Args& args);
Result<int> run_features(const Globals& globals, const Args& args);
Result<int> run_spec(const Globals& globals, const Args& args);
Result<int> run_state(const Globals& globals, const Args& args);
Result<int> run_list(const Globals& globals, const Args& args);
Result<int> run_ps(const Globals& globals, const Args& args);
Result<int> run_kill(const Globals& globals, const Args& args);
Result<int> run_delete(const Globals& globals, const Args& args);
Result<int> run_pause(const Globals& globals, const Args& args);
Result<int> run_update(const Globals& globals, const Args& args);
Result<int> run_restore(const Globals& globals, const Args& args);
Result<int> run_resume(const Globals& globals, const Args& args);

// The text of --help.
std::string usage();

// Whether control groups are systemd's to make.
bool uses_systemd(const Globals& globals);
// The one operand of most commands.
Result<std::string> container_id(const Args& operands);
void print(std::string_view text);

}  // namespace berth::cmd

// berth-oci: an OCI runtime with the command line of runc and crun.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/json_value.hpp"
#include "base/log.hpp"
#include "cmd/berth-oci/command.hpp"
#include "cmd/berth-oci/options.hpp"
#include "oci/spec/spec.hpp"
#include "oci/state/container_dir.hpp"
#include "sys/fd.hpp"
#include "sys/memory.hpp"
#include "sys/own_program.hpp"

namespace berth::cmd {
namespace {

constexpr int kFailed = 1;
constexpr std::size_t kHeapBytes = 64 << 10;  // of `create`, measured

void declare_globals(Options& options, Globals& globals, bool& help, bool& version) {
  options.value("root", 0, globals.root);
  options.value("log", 0, globals.log);
  options.value("log-format", 0, globals.log_format);
  options.value("log-level", 0, globals.log_level);
  options.value("rootless", 0, globals.rootless);
  options.value("criu", 0, globals.criu);
  options.value("cgroup-manager", 0, globals.cgroup_manager);
  options.flag("systemd-cgroup", 0, globals.systemd_cgroup);
  options.flag("debug", 0, globals.debug);
  options.flag("help", 'h', help);
  options.flag("version", 'v', version);
}

// In the lines that podman and containerd's shim read.
std::string version_text() {
  return fmt::format("berth-oci version {}\nspec: {}\nrundir: {}\n+SECCOMP +CAP +EBPF\n", BERTH_VERSION,
                     oci::kMaxVersion, oci::state_root(""));
}

// To the log file, where one was asked for, and to whoever looks at standard error.
int report(const Globals& globals, const Error& error) {
  if (!globals.log.empty()) log::error("{}", error.message);
  std::fputs(fmt::format("berth-oci: {}\n", error.message).c_str(), stderr);
  return kFailed;
}

Result<sys::Fd> open_log(const Globals& globals) {
  if (globals.log_format != "text" && globals.log_format != "json")
    return fail(Code::InvalidArgument, fmt::format("--log-format {}: text or json", globals.log_format));
  const auto format = globals.log_format == "json" ? log::Format::Json : log::Format::Text;
  const bool debug = globals.debug || globals.log_level == "debug";
  log::configure("berth-oci", debug ? log::Level::Debug : log::Level::Warn, format);
  if (globals.log.empty()) return sys::Fd();
  sys::Fd file = TRY_DURING("--log", sys::open(globals.log, O_WRONLY | O_CREAT | O_APPEND, 0644));
  log::write_to(file.get());
  return file;
}

// Never passed over in silence: a client that asks for another manager would look for the group elsewhere.
Result<void> check_manager(const Globals& globals) {
  const std::string& manager = globals.cgroup_manager;
  if (manager.empty() || manager == "cgroupfs" || manager == "systemd") return {};
  return fail(Code::InvalidArgument,
              fmt::format("--cgroup-manager {}: berth-oci knows cgroupfs and systemd", manager));
}

const OciCommand* find_command(std::string_view name) {
  const auto& commands = oci_commands();
  const auto found =
      std::find_if(commands.begin(), commands.end(), [&](const auto& c) { return c.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

// `words` are all that the program was called with.
Result<void> leave_writable_program(const Args& words) {
  std::vector<const char*> argv = {"berth-oci"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  argv.push_back(nullptr);
  return sys::run_out_of_reach(argv);
}

int run_named(const Globals& globals, const OciCommand& command, const Args& args) {
  if (std::find(args.begin(), args.end(), "--help") != args.end()) {
    print(fmt::format("usage: berth-oci {} {}\n{}\n", command.name, command.operands, command.summary));
    if (!command.options.empty()) print("\noptions:\n");
    for (const std::string_view lines : command.options) print(lines);
    return 0;
  }
  const auto log_file = open_log(globals);
  if (!log_file) return report({}, log_file.error());
  if (const auto managed = check_manager(globals); !managed) return report(globals, managed.error());
  const auto code = command.body(globals, args);
  return code ? *code : report(globals, code.error());
}

int run(const Args& args) {
  Globals globals;
  bool help = false;
  bool version = false;
  Options options;
  declare_globals(options, globals, help, version);
  const auto words = options.parse(args, true);
  if (!words) return report(globals, words.error());
  if (version) return print(version_text()), 0;
  if (help || words->empty()) {
    std::fputs(usage().c_str(), help ? stdout : stderr);
    return help ? 0 : kFailed;
  }
  const OciCommand* command = find_command(words->front());
  if (command == nullptr) {
    return report(globals,
                  Error{Code::InvalidArgument, 0,
                        fmt::format("there is no command {}: see 'berth-oci --help'", words->front())});
  }
  if (command->enters) {
    if (const auto left = leave_writable_program(args); !left) return report(globals, left.error());
  }
  return run_named(globals, *command, Args(words->begin() + 1, words->end()));
}

}  // namespace

std::string usage() {
  std::string text = "usage: berth-oci [GLOBAL OPTION...] COMMAND [ARG...]\n\ncommands:\n";
  for (const OciCommand& command : oci_commands())
    text += fmt::format("  {:<10} {}\n", command.name, command.summary);
  text +=
      "\nglobal options:\n  --root DIR  --log FILE  --log-format text|json  --debug\n"
      "  --cgroup-manager cgroupfs|systemd  --systemd-cgroup  --rootless true|false|auto  --criu PROGRAM  "
      "--version\n";
  return text;
}

}  // namespace berth::cmd

int main(int argc, char** argv) {
  berth::sys::prepare_heap(berth::cmd::kHeapBytes);
  return berth::cmd::run({argv + 1, argv + argc});
}

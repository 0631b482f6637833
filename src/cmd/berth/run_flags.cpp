#include "cmd/berth/run_flags.hpp"

#include <CLI/CLI.hpp>

namespace berth::cmd {
namespace {

using Texts = std::vector<std::string>;

CLI::Option* one(CLI::App& app, const char* names, std::string& value, const char* type, const char* help) {
  return app.add_option(names, value, help)->type_name(type);
}

// May be given many times, with one value each time.
CLI::Option* many(CLI::App& app, const char* names, Texts& values, const char* type, const char* help) {
  return app.add_option(names, values, help)->type_name(type)->allow_extra_args(false);
}

void add_process_flags(CLI::App& app, node::RunOptions& options) {
  many(app, "-e,--env", options.env, "K[=V]", "Set an environment variable (K alone: the caller's value)");
  many(app, "--env-file", options.env_files, "FILE", "Read environment variables from a file");
  one(app, "-w,--workdir", options.workdir, "DIR", "Working directory in the unit");
  one(app, "-u,--user", options.user, "USER[:GROUP]", "User, by name or number");
  app.add_option("--entrypoint", options.entrypoint, "Program in place of the image's entrypoint")
      ->type_name("PROGRAM");
  one(app, "-h,--hostname", options.hostname, "NAME", "Host name in the unit");
  many(app, "-l,--label", options.labels, "K=V", "Label the instance");
  app.add_flag("-i,--interactive", options.interactive, "Keep standard input open");
  app.add_flag("-t,--tty", options.tty, "Give it a terminal");
  app.add_flag("--init", options.init, "Run a small init that reaps processes as PID 1");
}

void add_storage_flags(CLI::App& app, node::RunOptions& options) {
  app.add_flag("--read-only", options.read_only, "Mount the root file system read-only");
  many(app, "-v,--volume", options.volumes, "SRC:DST[:ro]", "Show a host directory or file in the unit");
  many(app, "--tmpfs", options.tmpfs, "DST[:size=SIZE]", "Mount an empty memory file system");
  many(app, "--device", options.devices, "HOST[:UNIT[:rwm]]", "Let the unit use a device");
  many(app, "-p,--publish", options.publish, "PORTS", "Publish ports (not there yet)");
  one(app, "--network,--net", options.network, "MODE",
      "none or host; vm: none, user or tap:NAME,ip=ADDR/BITS[,gateway=ADDR][,dns=ADDR] (container: none, "
      "process: host, vm: user)");
}

void add_security_flags(CLI::App& app, node::RunOptions& options) {
  many(app, "--cap-add", options.cap_add, "CAP", "Keep a capability (ALL for all)");
  many(app, "--cap-drop", options.cap_drop, "CAP", "Drop a capability (ALL for all)");
  many(app, "--security-opt", options.security, "OPT", "seccomp=FILE|unconfined, no-new-privileges[=false]");
  one(app, "--userns", options.userns, "START:COUNT", "Host ids that stand for the unit's 0 and up, or host");
  app.add_flag("--privileged", options.privileged, "All capabilities and devices, nothing masked");
  many(app, "--ulimit", options.ulimits, "NAME=SOFT[:HARD]", "Set a resource limit of the processes");
  many(app, "--sysctl", options.sysctls, "K=V", "Set a kernel parameter of the unit's namespaces");
}

}  // namespace

void add_resource_flags(CLI::App& app, node::RunOptions& options) {
  one(app, "--cpus", options.cpus, "N", "Processors' worth of time, such as 1.5");
  one(app, "--cpu-weight", options.cpu_weight, "1-10000", "Share of contended processors (default 100)");
  one(app, "--cpuset,--cpuset-cpus", options.cpuset, "LIST", "Processors to run on, such as 0-3,6");
  one(app, "-m,--memory", options.memory, "SIZE", "Memory limit");
  one(app, "--memory-low", options.memory_low, "SIZE", "Memory that is taken last when it gets scarce");
  one(app, "--swap", options.swap, "SIZE", "Swap limit, beyond memory");
  one(app, "--pids,--pids-limit", options.pids, "N", "Limit on processes and threads");
  one(app, "--io-weight", options.io_weight, "1-10000", "Share of contended disks (default 100)");
  many(app, "--io-max", options.io_max, "DEVICE:LIMITS", "Disk limits rbps=,wbps=,riops=,wiops=");
  one(app, "--restart", options.restart, "POLICY", "no, on-failure[:N], always or unless-stopped");
}

void add_run_flags(CLI::App& app, node::RunOptions& options) {
  one(app, "--unit", options.unit, "KIND", "process, container, vm or machine (default container)");
  one(app, "--name", options.name, "NAME", "Name of the instance (default: a generated one)");
  app.add_flag("--rm", options.remove, "Remove the instance when it ends");
  add_process_flags(app, options);
  add_storage_flags(app, options);
  add_resource_flags(app, options);
  add_security_flags(app, options);
  one(app, "--stop-signal", options.stop_signal, "SIGNAL",
      "What asks it to stop (default: the image's, or SIGTERM)");
  one(app, "--stop-timeout", options.stop_timeout, "DURATION",
      "How long stop waits before it kills (default 10s)");
}

}  // namespace berth::cmd

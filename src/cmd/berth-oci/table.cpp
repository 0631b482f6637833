#include <fmt/core.h>

#include <cstdio>

#include "cmd/berth-oci/command.hpp"

namespace berth::cmd {
namespace {

constexpr std::string_view kMakeOptions =
    "  -b, --bundle DIR        where config.json and the root file system are (default: here)\n"
    "  -f, --config FILE       another name than config.json, in the bundle\n"
    "      --console-socket S  the AF_UNIX socket that is sent the terminal's other end\n"
    "      --pid-file FILE     where to write the number of the first process\n"
    "      --preserve-fds N    hand on N descriptors from 3\n"
    "      --no-pivot          for a host on a RAM disk: move the root instead of pivot_root(2)\n"
    "      --no-new-keyring    keep the session keyring\n";
constexpr std::string_view kRunOptions =
    "  -d, --detach            come back at once\n"
    "      --keep              do not delete the container when it ends\n";
constexpr std::string_view kExecOptions =
    "  -p, --process FILE      the process as JSON; the options below add to it\n"
    "  -t, --tty               give it a terminal\n"
    "      --console-socket S  the AF_UNIX socket that is sent the terminal's other end\n"
    "      --cwd DIR           working directory\n"
    "  -e, --env NAME=VALUE    one more variable\n"
    "  -u, --user UID[:GID]    who it runs as\n"
    "  -g, --additional-gids G one more group\n"
    "  -c, --cap CAPABILITY    one more capability\n"
    "      --no-new-privs      no privilege by programs it executes\n"
    "      --apparmor PROFILE  AppArmor profile\n"
    "      --process-label L   SELinux label\n"
    "      --cgroup [C:]PATH   a group below the container's, of the controllers C\n"
    "      --preserve-fds N    hand on N descriptors from 3\n"
    "      --pid-file FILE     where to write the process's number\n"
    "  -d, --detach            come back at once\n"
    "      --ignore-paused     also in a paused container, where it waits\n";
constexpr std::string_view kUpdateOptions =
    "  -r, --resources FILE    the resources as JSON (-: standard input); other options are then not looked "
    "at\n"
    "      --blkio-weight N  --cpu-share N  --cpu-period US  --cpu-quota US  --cpu-burst US  --cpu-idle 0|1\n"
    "      --cpu-rt-period US  --cpu-rt-runtime US  --cpuset-cpus LIST  --cpuset-mems LIST  --pids-limit N\n"
    "      --memory BYTES  --memory-reservation BYTES  --memory-swap BYTES  --kernel-memory BYTES\n";
constexpr std::string_view kCriuOptions =
    "      --image-path DIR    the files of the checkpoint (default: checkpoint)\n"
    "      --work-path DIR     CRIU's logs (default: beside the files)\n"
    "      --tcp-established   with open TCP connections\n"
    "      --ext-unix-sk       with UNIX sockets that lead out of the container\n"
    "      --shell-job         with the terminal that berth-oci is on, in a container without its own\n"
    "      --file-locks        with file locks\n"
    "      --auto-dedup        drop what later dumps replaced\n"
    "      --manage-cgroups-mode M  taken for runc's sake: berth-oci makes the group as config.json says\n";
constexpr std::string_view kCheckpointOptions =
    "      --leave-running     the container goes on\n"
    "      --pre-dump          write memory alone, and go on\n"
    "      --parent-path DIR   of a pre-dump, relative to --image-path\n";
constexpr std::string_view kRestoreOptions =
    "  -b, --bundle DIR        where config.json and the root file system are (default: here)\n"
    "      --console-socket S  who to hand the terminal's other end\n"
    "      --pid-file FILE     where to write the number of the first process\n"
    "  -d, --detach            come back at once\n";
constexpr std::string_view kEventsOptions =
    "      --interval TIME     between two figures (default: 5s)\n"
    "      --stats             one figure, and no more\n";
constexpr std::string_view kSpecOptions =
    "  -b, --bundle DIR        where to (default: here)\n"
    "      --rootless          for a user who is not root\n";
constexpr std::string_view kFormatOptions = "  -f, --format table|json\n";

}  // namespace

const std::vector<OciCommand>& oci_commands() {
  static const std::vector<OciCommand> commands = {
      {"checkpoint",
       "[OPTION...] CONTAINER",
       "write a running container to files, by CRIU",
       run_checkpoint,
       {kCriuOptions, kCheckpointOptions}},
      {"completion",
       "SHELL",
       "print what makes bash, zsh or fish complete berth-oci's words",
       run_completion,
       {}},
      {"create",
       "[OPTION...] CONTAINER",
       "make a container of a bundle, all but its program's start",
       run_create,
       {kMakeOptions}},
      {"delete",
       "[--force] CONTAINER",
       "free what a container holds",
       run_delete,
       {"  -f, --force             end it first; no error where there is none\n"}},
      {"events",
       "[OPTION...] CONTAINER",
       "print what a container uses, and when it runs out of memory",
       run_events,
       {kEventsOptions}},
      {"exec",
       "[OPTION...] CONTAINER PROGRAM [ARG...]",
       "run one more process in a container",
       run_exec,
       {kExecOptions}},
      {"features", "", "print what this runtime can do as JSON", run_features, {}},
      {"kill",
       "[--all] CONTAINER [SIGNAL]",
       "send a signal to a container",
       run_kill,
       {"  -a, --all               to all its processes\n"}},
      {"list",
       "[OPTION...]",
       "list containers",
       run_list,
       {kFormatOptions, "  -q, --quiet             names alone\n"}},
      {"pause", "CONTAINER", "freeze all processes of a container", run_pause, {}},
      {"ps",
       "[OPTION...] CONTAINER [PS OPTION...]",
       "list the processes of a container",
       run_ps,
       {kFormatOptions}},
      {"restore",
       "[OPTION...] CONTAINER",
       "make a container of its bundle and a checkpoint's files",
       run_restore,
       {kRestoreOptions, kCriuOptions}},
      {"resume", "CONTAINER", "let a paused container go on", run_resume, {}},
      {"run",
       "[OPTION...] CONTAINER",
       "create and start a container",
       run_run,
       {kMakeOptions, kRunOptions},
       true},
      {"spec", "[OPTION...]", "write a configuration to begin with", run_spec, {kSpecOptions}},
      {"start", "CONTAINER", "start the program of a created container", run_start, {}},
      {"state", "CONTAINER", "print the state of a container as JSON", run_state, {}},
      {"update", "[OPTION...] CONTAINER", "change what a container may use", run_update, {kUpdateOptions}},
  };
  return commands;
}

bool uses_systemd(const Globals& globals) {
  return globals.systemd_cgroup || globals.cgroup_manager == "systemd";
}

Result<std::string> container_id(const Args& operands) {
  if (operands.size() == 1) return operands.front();
  return fail(Code::InvalidArgument, operands.empty()
                                         ? std::string("name the container")
                                         : fmt::format("name one container, not {}", operands.size()));
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace berth::cmd

// checkpoint and restore.
#include "oci/run/checkpoint.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "cmd/berth-oci/command.hpp"
#include "cmd/berth-oci/options.hpp"
#include "oci/run/delete.hpp"
#include "oci/run/foreground.hpp"
#include "oci/state/container_dir.hpp"

namespace berth::cmd {
namespace {

struct CriuWords {
  oci::CriuOptions options;
  std::string cgroups;
};

void declare(Options& options, CriuWords& words) {
  options.value("image-path", 0, words.options.image_dir);
  options.value("work-path", 0, words.options.work_dir);
  options.flag("tcp-established", 0, words.options.tcp_established);
  options.flag("ext-unix-sk", 0, words.options.unix_sockets);
  options.flag("shell-job", 0, words.options.shell_job);
  options.flag("file-locks", 0, words.options.file_locks);
  options.flag("auto-dedup", 0, words.options.auto_dedup);
  options.value("manage-cgroups-mode", 0, words.cgroups);
}

// CRIU is told full paths: it changes its directory.
Result<std::string> absolute(const std::string& path) {
  if (path.empty() || path.starts_with('/')) return path;
  const std::unique_ptr<char, decltype(&::free)> here(::getcwd(nullptr, 0), ::free);
  if (!here) return fail_errno("cannot tell the working directory");
  return fmt::format("{}/{}", here.get(), path);
}

Result<oci::CriuOptions> complete(CriuWords& words, const Globals& globals) {
  constexpr std::array<std::string_view, 5> kModes = {"", "soft", "full", "strict", "ignore"};
  if (std::find(kModes.begin(), kModes.end(), words.cgroups) == kModes.end())
    return fail(Code::InvalidArgument,
                fmt::format("--manage-cgroups-mode {}: give soft, full, strict or ignore", words.cgroups));
  words.options.program = globals.criu;
  words.options.image_dir =
      TRY(absolute(words.options.image_dir.empty() ? "checkpoint" : words.options.image_dir));
  words.options.work_dir = TRY(absolute(words.options.work_dir));
  return words.options;
}

}  // namespace

Result<int> run_checkpoint(const Globals& globals, const Args& args) {
  CriuWords words;
  oci::Dump dump;
  Options options;
  declare(options, words);
  options.value("parent-path", 0, words.options.parent_dir);
  options.flag("leave-running", 0, dump.leave_running);
  options.flag("pre-dump", 0, dump.pre_dump);
  const std::string id = TRY(container_id(TRY(options.parse(args, false))));
  if (words.options.parent_dir.starts_with('/'))
    return fail(Code::InvalidArgument, "--parent-path: give it relative to --image-path, as CRIU wants it");
  const std::string root = oci::state_root(globals.root);
  TRY(oci::checkpoint(root, id, TRY(complete(words, globals)), dump));
  // As runc and crun: what was written to files is no container any more.
  if (!dump.leave_running && !dump.pre_dump) TRY(oci::remove(root, id, true));
  return 0;
}

Result<int> run_restore(const Globals& globals, const Args& args) {
  CriuWords words;
  oci::CreateRequest request;
  bool detach = false;
  bool no_pivot = false;
  bool no_subreaper = false;
  Options options;
  declare(options, words);
  options.value("bundle", 'b', request.bundle);
  options.value("console-socket", 0, request.console_socket);
  options.value("pid-file", 0, request.pid_file);
  options.flag("detach", 'd', detach);
  options.flag("no-pivot", 0, no_pivot);
  options.flag("no-subreaper", 0, no_subreaper);
  request.id = TRY(container_id(TRY(options.parse(args, false))));
  request.root = oci::state_root(globals.root);
  request.options.systemd_cgroup = uses_systemd(globals);
  request.keeps_terminal = !detach;
  if (!detach) oci::block_forwarded_signals();
  oci::Container container = TRY(oci::restore(request, TRY(complete(words, globals))));
  container.dir.unlock();
  if (detach) return 0;
  const auto code = oci::stay_with(container.process);
  TRY(oci::remove(request.root, request.id, true));
  return code;
}

}  // namespace berth::cmd

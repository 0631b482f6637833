#include "oci/run/criu.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/text.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"

namespace berth::oci {
namespace {

using Words = std::vector<std::string>;

const std::string& work_dir(const CriuOptions& options) {
  return options.work_dir.empty() ? options.image_dir : options.work_dir;
}

void add_common(const CriuOptions& options, const Spec& spec, const char* log, Words& words) {
  for (const std::string& word : {std::string("--images-dir"), options.image_dir, std::string("--work-dir"),
                                  work_dir(options), std::string("--log-file"), std::string(log)})
    words.push_back(word);
  words.insert(words.end(), {"-v4", "--evasive-devices", "--manage-cgroups=ignore"});
  if (options.tcp_established) words.emplace_back("--tcp-established");
  if (options.unix_sockets) words.emplace_back("--ext-unix-sk");
  if (options.shell_job) words.emplace_back("--shell-job");
  if (options.file_locks) words.emplace_back("--file-locks");
  if (options.auto_dedup) words.emplace_back("--auto-dedup");
  if (!spec.wishes.criu_config.empty()) words.insert(words.end(), {"--config", spec.wishes.criu_config});
}

// Namespaces that stay outside of the images, and what these call them: runc's words, so that each restores
// the other's.
struct Outside {
  int kind;
  const char* file;  // in /proc/PID/ns
  const char* name;
};
constexpr std::array kOutside = {Outside{CLONE_NEWNET, "net", "extRootNetNS"},
                                 Outside{CLONE_NEWPID, "pid", "extRootPidNS"}};

const Outside* outside(const Namespace& entry) {
  const auto found = std::find_if(kOutside.begin(), kOutside.end(),
                                  [&](const Outside& known) { return known.kind == entry.kind; });
  return entry.path.empty() || found == kOutside.end() ? nullptr : &*found;
}

void add_external(const std::string& destination, const std::string& value, Words& words) {
  words.insert(words.end(), {"--external", fmt::format("mnt[{}]:{}", destination, value)});
}

}  // namespace

Result<void> check_criu_can(const Spec& spec) {
  if (spec.process.terminal)
    return fail(
        Code::FailedPrecondition,
        "process.terminal: the terminal's other end is another program's, which CRIU cannot make again");
  for (const Namespace& entry : spec.platform.namespaces.list) {
    if (entry.path.empty() || outside(entry) != nullptr) continue;
    return fail(Code::FailedPrecondition,
                fmt::format("linux.namespaces: {} is not the container's own: it cannot be written to files",
                            entry.path));
  }
  return {};
}

std::string source_of(const isolate::MountRequest& mount, const std::string& bundle) {
  return mount.source.starts_with('/') ? mount.source : fmt::format("{}/{}", bundle, mount.source);
}

Words dump_command(const CriuOptions& options, const Dump& dump, const Spec& spec, const State& state,
                   const std::string& freezer) {
  Words words = {options.program, dump.pre_dump ? "pre-dump" : "dump", "--tree", std::to_string(state.pid)};
  add_common(options, spec, kDumpLog, words);
  words.insert(words.end(), {"--root", state.root});
  if (!freezer.empty()) words.insert(words.end(), {"--freeze-cgroup", freezer});
  for (const auto& mount : spec.mounts) {
    if (mount.options.bind) add_external(mount.destination, mount.destination, words);
  }
  for (const Namespace& entry : spec.platform.namespaces.list) {
    const Outside* kept = outside(entry);
    if (kept == nullptr) continue;
    // What its process is in, and not what the path leads to by now: "net:[4026531840]".
    std::string inode = sys::read_link(fmt::format("/proc/{}/ns/{}", state.pid, kept->file)).value_or("");
    std::erase(inode, ':');
    words.insert(words.end(), {"--external", fmt::format("{}:{}", inode, kept->name)});
  }
  if (dump.leave_running && !dump.pre_dump) words.emplace_back("--leave-running");
  if (dump.pre_dump || !options.parent_dir.empty()) words.emplace_back("--track-mem");
  if (!options.parent_dir.empty()) words.insert(words.end(), {"--prev-images-dir", options.parent_dir});
  return words;
}

Result<std::vector<InheritedNamespace>> open_outside(const Spec& spec) {
  std::vector<InheritedNamespace> opened;
  for (const Namespace& entry : spec.platform.namespaces.list) {
    const Outside* kept = outside(entry);
    if (kept == nullptr) continue;
    sys::Fd fd = TRY_DURING("linux.namespaces", sys::open(entry.path, O_RDONLY));
    TRY_DURING(fmt::format("linux.namespaces: {}", entry.path), sys::check_namespace(fd.get(), entry.kind));
    opened.push_back({std::move(fd), kept->name});
  }
  return opened;
}

Words restore_command(const CriuOptions& options, const Spec& spec, const std::string& bundle,
                      const std::string& root, const std::string& pid_file, const Words& pipes,
                      const std::vector<InheritedNamespace>& namespaces) {
  Words words = {options.program,     "restore",   "--restore-detached",
                 "--restore-sibling", "--pidfile", pid_file};
  add_common(options, spec, kRestoreLog, words);
  words.insert(words.end(), {"--root", root});
  for (const auto& mount : spec.mounts) {
    if (!mount.options.bind) continue;
    add_external(mount.destination, source_of(mount, bundle), words);
  }
  for (std::size_t fd = 0; fd < std::min<std::size_t>(pipes.size(), 3); ++fd) {
    if (pipes[fd].starts_with("pipe:"))
      words.insert(words.end(), {"--inherit-fd", fmt::format("fd[{}]:{}", fd, pipes[fd])});
  }
  for (const InheritedNamespace& kept : namespaces)
    words.insert(words.end(), {"--inherit-fd", fmt::format("fd[{}]:{}", kept.fd.get(), kept.name)});
  return words;
}

Result<std::string> find_criu(const std::string& program) {
  const std::string name = program.empty() ? "criu" : program;
  Words candidates = {name};
  if (name.find('/') == std::string::npos) {
    const char* path = ::getenv("PATH");
    candidates.clear();
    for (const std::string& directory : split(path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path, ':'))
      candidates.push_back(fmt::format("{}/{}", directory, name));
  }
  for (const std::string& candidate : candidates) {
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return fail(
      Code::FailedPrecondition,
      fmt::format("there is no program {} here: install CRIU (Debian's package criu), or name it with --criu",
                  name));
}

std::string errors_in(const std::string& log_file) {
  constexpr std::size_t kMost = 3;
  std::vector<std::string> errors;
  for (const std::string& line : split(sys::read_file(log_file).value_or(""), '\n')) {
    const auto at = line.find("Error (");
    if (at != std::string::npos) errors.push_back(line.substr(at));
  }
  if (errors.size() > kMost) errors.erase(errors.begin(), errors.end() - kMost);
  return errors.empty() ? "it says no more" : join(errors, "; ");
}

}  // namespace berth::oci

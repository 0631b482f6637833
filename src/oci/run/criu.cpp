#include "oci/run/criu.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/text.hpp"
#include "sys/fd.hpp"
#include "sys/process.hpp"

namespace berth::oci {
namespace {

const std::string& work_dir(const CriuOptions& options) {
  return options.work_dir.empty() ? options.image_dir : options.work_dir;
}

void add_common(const CriuOptions& options, const CriuPlaces& places, const Spec& spec, const char* log,
                CriuRequest& request) {
  constexpr int kLogAll = 4;
  constexpr int kLeaveCgroups = 0;  // criu_cg_mode IGNORE
  request.number(CriuNumber::ImagesDirFd, places.images.get());
  request.number(CriuNumber::WorkDirFd, places.work.get());
  request.text(CriuText::LogFile, log);
  request.number(CriuNumber::LogLevel, kLogAll);
  request.number(CriuNumber::ManageCgroups, kLeaveCgroups);
  request.flag(CriuFlag::EvasiveDevices);
  request.flag(CriuFlag::TcpEstablished, options.tcp_established);
  request.flag(CriuFlag::ExtUnixSk, options.unix_sockets);
  request.flag(CriuFlag::ShellJob, options.shell_job && !spec.process.terminal);
  request.flag(CriuFlag::FileLocks, options.file_locks);
  request.flag(CriuFlag::AutoDedup, options.auto_dedup);
  request.flag(CriuFlag::OrphanPtsMaster, spec.process.terminal);
  if (!spec.wishes.criu_config.empty()) request.text(CriuText::ConfigFile, spec.wishes.criu_config);
}

// What is mounted over masked files comes from outside too, by this name: that of runc's images.
constexpr const char* kMask = "/dev/null";

// The masked paths that are there and no directories, as the process `pid` sees them.
std::vector<std::string> masked_files(const Spec& spec, pid_t pid) {
  std::vector<std::string> files;
  const auto root = sys::open(fmt::format("/proc/{}/root", pid), O_PATH | O_DIRECTORY);
  if (!root) return files;
  for (const std::string& path : spec.platform.masked_paths) {
    const auto file = sys::open_in_root(root->get(), path, O_PATH);
    struct stat info {};
    if (file && ::fstat(file->get(), &info) == 0 && !S_ISDIR(info.st_mode)) files.push_back(path);
  }
  return files;
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

void add_external(const std::string& destination, const std::string& value, CriuRequest& request) {
  request.text(CriuText::External, fmt::format("mnt[{}]:{}", destination, value));
}

}  // namespace

Result<CriuPlaces> open_places(const CriuOptions& options) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY;
  CriuPlaces places;
  places.images = TRY_DURING("--image-path", sys::open(options.image_dir, kFlags));
  places.work = TRY_DURING("--work-path", sys::open(work_dir(options), kFlags));
  return places;
}

std::string log_path(const CriuOptions& options, const char* name) {
  return fmt::format("{}/{}", work_dir(options), name);
}

Result<void> check_criu_can(const Spec& spec) {
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

CriuRequest dump_request(const CriuOptions& options, const CriuPlaces& places, const Dump& dump,
                         const Spec& spec, const State& state, const std::string& freezer) {
  CriuRequest request(dump.pre_dump ? CriuCall::PreDump : CriuCall::Dump);
  request.number(CriuNumber::Pid, state.pid);
  add_common(options, places, spec, kDumpLog, request);
  request.text(CriuText::Root, state.root);
  if (!freezer.empty()) request.text(CriuText::FreezeCgroup, freezer);
  for (const auto& mount : spec.mounts) {
    if (mount.options.bind) add_external(mount.destination, mount.destination, request);
  }
  for (const std::string& path : masked_files(spec, state.pid)) add_external(path, kMask, request);
  for (const Namespace& entry : spec.platform.namespaces.list) {
    const Outside* kept = outside(entry);
    if (kept == nullptr) continue;
    // What its process is in, and not what the path leads to by now: "net:[4026531840]".
    std::string inode = sys::read_link(fmt::format("/proc/{}/ns/{}", state.pid, kept->file)).value_or("");
    std::erase(inode, ':');
    request.text(CriuText::External, fmt::format("{}:{}", inode, kept->name));
  }
  request.flag(CriuFlag::LeaveRunning, dump.leave_running && !dump.pre_dump);
  request.flag(CriuFlag::TrackMem, dump.pre_dump || !options.parent_dir.empty());
  if (!options.parent_dir.empty()) request.text(CriuText::ParentImage, options.parent_dir);
  return request;
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

CriuRequest restore_request(const CriuOptions& options, const CriuPlaces& places, const Spec& spec,
                            const std::string& bundle, const std::string& root,
                            const std::vector<std::string>& pipes,
                            const std::vector<InheritedNamespace>& namespaces) {
  CriuRequest request(CriuCall::Restore);
  request.flag(CriuFlag::RestoreSibling);
  // A terminal is handed over by a notification. None without one: with notifications CRIU does without the
  // action scripts that a configuration file may name.
  request.flag(CriuFlag::NotifyScripts, spec.process.terminal);
  add_common(options, places, spec, kRestoreLog, request);
  request.text(CriuText::Root, root);
  for (const auto& mount : spec.mounts) {
    if (!mount.options.bind) continue;
    add_external(mount.destination, source_of(mount, bundle), request);
  }
  if (!spec.platform.masked_paths.empty()) add_external(kMask, kMask, request);
  for (std::size_t fd = 0; fd < std::min<std::size_t>(pipes.size(), 3); ++fd) {
    if (pipes[fd].starts_with("pipe:")) request.inherit(pipes[fd], static_cast<int>(fd));
  }
  for (const InheritedNamespace& kept : namespaces) request.inherit(kept.name, kept.fd.get());
  return request;
}

Result<std::string> find_criu(const std::string& program) {
  const std::string name = program.empty() ? "criu" : program;
  std::vector<std::string> candidates = {name};
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

}  // namespace berth::oci

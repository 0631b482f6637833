#include "sys/userns.hpp"

#include <dirent.h>
#include <fmt/core.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <optional>

#include "base/text.hpp"
#include "sys/command.hpp"
#include "sys/fd.hpp"

namespace berth::sys {
namespace {

constexpr std::uint64_t kLastId = UINT32_MAX - 1;  // 2^32 - 1 means "no id"
constexpr const char* kSelf = "/proc/self/ns/user";

struct Mapping {
  std::vector<SubordinateRange> users;
  std::vector<SubordinateRange> groups;
};

// The account's name as /etc/passwd has it. Not getpwuid(3): it loads libraries, which a static program
// cannot.
std::string user_name(uid_t uid) {
  const auto accounts = read_file("/etc/passwd");
  for (const std::string& line : split(accounts ? *accounts : "", '\n')) {
    const std::vector<std::string> fields = split(line, ':');  // name:password:uid:...
    if (fields.size() >= 3 && parse_u64(fields[2]) == uid) return fields[0];
  }
  const char* name = ::getenv("USER");  // an account that lives in a directory service
  return name == nullptr ? "" : name;
}

std::vector<SubordinateRange> subordinate_ids(const char* file, const std::string& name, uid_t uid) {
  const auto text = read_file(file);
  return parse_subordinate_ids(text ? *text : "", name, uid);
}

// unshare(CLONE_NEWUSER) was refused: by whom?
std::string why_refused(int error) {
  const auto setting = [](const char* file) {
    const auto value = read_file(file);
    return value ? std::string(trim(*value)) : std::string();
  };
  if (setting("/proc/sys/user/max_user_namespaces") == "0")
    return "user.max_user_namespaces is 0: raise it with sysctl";
  if (setting("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
    return "kernel.unprivileged_userns_clone is 0: set it to 1 with sysctl";
  }
  if (setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return "AppArmor restricts them: set kernel.apparmor_restrict_unprivileged_userns to 0, or load a "
           "profile for berth";
  }
  if (error == ENOSPC)
    return "too many exist already (user.max_user_namespaces), or they are nested too deep";
  if (error == EPERM) return "a system call filter or a chroot forbids it";
  if (error == EINVAL || error == ENOSYS) return "this kernel has no user namespaces (CONFIG_USER_NS)";
  return std::string(fail_errno("unshare", error).value().message);
}

Failure refused(int error) {
  return fail(
      Error{Code::FailedPrecondition, error,
            fmt::format(
                "an ordinary user needs a user namespace to run units, and this machine refuses one: {}; or "
                "run as root",
                why_refused(error))});
}

// "newuidmap PID 0 UID 1 1 START COUNT ..."
std::vector<std::string> map_command(const char* program, pid_t pid, std::uint32_t own,
                                     const std::vector<SubordinateRange>& ranges) {
  std::vector<std::string> words = {program, std::to_string(pid), "0", std::to_string(own), "1"};
  std::uint64_t inside = 1;
  for (const SubordinateRange& range : ranges) {
    words.insert(words.end(),
                 {std::to_string(inside), std::to_string(range.start), std::to_string(range.count)});
    inside += range.count;
  }
  return words;
}

Result<void> run_map_command(const std::vector<std::string>& words) {
  const auto output = TRY(run_command(words, {}));
  if (output.exit_code == 0) return {};
  return fail(Code::FailedPrecondition,
              fmt::format("{} fails with exit code {}", words[0], output.exit_code));
}

// Runs newuidmap and newgidmap for `target` once `go` is closed. A child does it: they must be started from
// outside the namespace, as the user. What went wrong is written to `answer`.
[[noreturn]] void map_from_outside(pid_t target, const Mapping& mapping, const Pipe& go, const Pipe& answer) {
  char byte = 0;
  static_cast<void>(::read(go.read.get(), &byte, 1) + 1);
  const auto map = [&]() -> Result<void> {
    TRY(run_map_command(map_command("newuidmap", target, ::getuid(), mapping.users)));
    return run_map_command(map_command("newgidmap", target, ::getgid(), mapping.groups));
  };
  if (const auto mapped = map(); !mapped)
    static_cast<void>(write_all(answer.write.get(), mapped.error().message));
  ::_exit(0);
}

// "" where the namespace was made with all ids mapped; else why that cannot be. Either way this process is in
// it.
Result<std::string> unshare_with(const Mapping& mapping) {
  Pipe go = TRY(pipe());
  Pipe answer = TRY(pipe());
  const pid_t self = ::getpid();
  const pid_t helper = ::fork();
  if (helper < 0) return fail_errno("cannot start a helper process");
  if (helper == 0) {
    go.write.reset();
    answer.read.reset();
    map_from_outside(self, mapping, go, answer);
  }
  answer.write.reset();
  const int error = ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 0 : errno;
  go.write.reset();
  auto problem = read_all(answer.read.get(), 65536);
  ::waitpid(helper, nullptr, 0);
  if (error != 0) return refused(error);
  return problem;
}

// What a process may always do for itself: its own id becomes 0. Groups need setgroups(2) to be given up for
// that.
Result<void> map_own_id(uid_t uid, gid_t gid) {
  TRY(write_file("/proc/self/uid_map", fmt::format("0 {} 1\n", uid)));
  TRY(write_file("/proc/self/setgroups", "deny"));
  return write_file("/proc/self/gid_map", fmt::format("0 {} 1\n", gid));
}

std::string why_single(const Mapping& mapping, const std::string& name) {
  if (!mapping.users.empty() && !mapping.groups.empty()) return "";
  return fmt::format("{} has no ids for {} (add \"{}:100000:65536\")",
                     mapping.users.empty() ? "/etc/subuid" : "/etc/subgid", name, name);
}

// Made anew: with all ids where that works, else with the user's own.
Result<std::string> make_namespace() {
  const uid_t uid = ::getuid();
  const gid_t gid = ::getgid();
  const std::string name = user_name(uid);
  const Mapping mapping{subordinate_ids("/etc/subuid", name, uid), subordinate_ids("/etc/subgid", name, uid)};
  std::string single = why_single(mapping, name.empty() ? std::to_string(uid) : name);
  if (single.empty()) {
    single = TRY(unshare_with(mapping));
  } else if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    return refused(errno);
  }
  if (!single.empty() && ::geteuid() != 0) TRY_DURING("cannot map the user's own id", map_own_id(uid, gid));
  return single;
}

std::uint64_t namespace_number(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? info.st_ino : 0;
}

// A child of this namespace that belongs to this user: nobody else's, and not one that a unit made inside
// ours.
bool is_ours(int candidate) {
  uid_t owner = 0;
  if (::ioctl(candidate, NS_GET_OWNER_UID, &owner) != 0 || owner != ::getuid()) return false;
  const Fd parent(::ioctl(candidate, NS_GET_PARENT));
  const Fd own(::open(kSelf, O_RDONLY | O_CLOEXEC));
  return parent && own && namespace_number(parent.get()) == namespace_number(own.get());
}

// The namespace numbered `number`, through any process that lives in it: it lasts as long as one does.
Result<Fd> find_namespace(std::uint64_t number) {
  struct CloseDir {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };
  const std::unique_ptr<DIR, CloseDir> processes(::opendir("/proc"));
  while (const dirent* entry = processes ? ::readdir(processes.get()) : nullptr) {
    if (!parse_u64(entry->d_name)) continue;
    const std::string path = fmt::format("/proc/{}/ns/user", entry->d_name);
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0 || info.st_ino != number) continue;
    Fd candidate(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (candidate && namespace_number(candidate.get()) == number && is_ours(candidate.get()))
      return candidate;
  }
  return Fd();
}

Result<bool> join_recorded(const std::string& record) {
  const auto text = read_file(record);
  const auto number = text ? parse_u64(trim(*text)) : std::nullopt;
  if (!number || *number == 0) return false;
  const Fd found = TRY(find_namespace(*number));
  if (!found) return false;
  if (::setns(found.get(), CLONE_NEWUSER) != 0)
    return fail_errno("cannot join the user namespace of the running units");
  if (::unshare(CLONE_NEWNS) != 0) return fail_errno("cannot make a mount namespace");
  return true;
}

std::string single_in_joined() {
  const auto map = read_file("/proc/self/uid_map");
  const bool single = map && split(trim(*map), '\n').size() == 1;
  return single ? "the units that run now were started that way" : "";
}

}  // namespace

std::vector<SubordinateRange> parse_subordinate_ids(std::string_view text, std::string_view name, uid_t uid) {
  std::vector<SubordinateRange> ranges;
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> fields = split(line, ':');
    if (fields.size() != 3) continue;
    const bool by_name = !name.empty() && fields[0] == name;
    if (!by_name && fields[0] != std::to_string(uid)) continue;
    const auto start = parse_u64(fields[1]);
    const auto count = parse_u64(fields[2]);
    if (!start || !count || *count == 0 || *start > kLastId || *count > kLastId - *start + 1) continue;
    ranges.push_back({static_cast<std::uint32_t>(*start), static_cast<std::uint32_t>(*count)});
  }
  return ranges;
}

Result<Rootless> enter_rootless(const std::string& record_directory) {
  Rootless result;
  if (::geteuid() == 0) return result;
  TRY(make_dir(record_directory, 0700));
  const std::string record = record_directory + "/userns";
  const Fd lock = TRY(lock_file(record + ".lock"));  // two that start at once share one namespace
  result.joined = TRY(join_recorded(record));
  if (result.joined) {
    result.single_user = single_in_joined();
  } else {
    result.single_user = TRY(make_namespace());
    const Fd own = TRY(open(kSelf, O_RDONLY));
    TRY(replace_file(record, std::to_string(namespace_number(own.get())), 0600));
  }
  result.entered = true;
  return result;
}

}  // namespace berth::sys

#include "sys/cgroup_dir.hpp"

#include <dirent.h>
#include <fmt/core.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "base/text.hpp"

namespace berth::sys {
namespace {

constexpr int kRemoveTimeoutMs = 1000;
constexpr int kMaxDepth = 64;  // a workload in its own cgroup namespace can nest groups

struct CloseDir {
  void operator()(DIR* stream) const { ::closedir(stream); }
};

std::vector<std::string> child_groups(const std::string& path) {
  std::vector<std::string> children;
  const std::unique_ptr<DIR, CloseDir> stream(::opendir(path.c_str()));
  if (!stream) return children;
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") children.emplace_back(name);
  }
  return children;
}

Result<void> collect_pids(const std::string& path, int depth, std::vector<pid_t>& pids) {
  auto text = read_file(path + "/cgroup.procs");
  if (!text) {
    // Gone meanwhile, or a threaded group, whose processes are listed above it.
    if (text.error().sys_errno == ENOENT || text.error().sys_errno == EOPNOTSUPP) return {};
    if (text.error().sys_errno == ENODEV) return {};
    return fail(std::move(text).error());
  }
  for (const std::string& line : split(*text, '\n')) {
    if (const auto pid = parse_i64(line)) pids.push_back(static_cast<pid_t>(*pid));
  }
  if (depth == 0) return {};
  for (const std::string& child : child_groups(path)) TRY(collect_pids(path + "/" + child, depth - 1, pids));
  return {};
}

Result<void> make_parents(const std::string& base, const std::string& path) {
  std::string at = base;
  for (const std::string& part : split(path, '/')) {
    at += "/" + part;
    if (::mkdir(at.c_str(), 0755) != 0 && errno != EEXIST) {
      return fail_errno(fmt::format("cannot make the control group {}", at));
    }
  }
  return {};
}

// True once it is gone; false while something keeps it busy.
Result<bool> try_remove(const std::string& path, int depth) {
  if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return true;
  if (errno != EBUSY && errno != ENOTEMPTY)
    return fail_errno(fmt::format("cannot remove the control group {}", path));
  if (depth == 0) return false;
  for (const std::string& child : child_groups(path)) {
    if (!TRY(try_remove(path + "/" + child, depth - 1))) return false;
  }
  return ::rmdir(path.c_str()) == 0 || errno == ENOENT;
}

Result<void> write_below_to(const std::string& path, const std::string& file, std::string_view value,
                            int depth) {
  auto written = write_file(path + "/" + file, value);
  if (!written && written.error().sys_errno != ENOENT && written.error().sys_errno != ENODEV) return written;
  if (depth == 0) return {};
  for (const std::string& child : child_groups(path)) {
    TRY(write_below_to(path + "/" + child, file, value, depth - 1));
  }
  return {};
}

std::string why_refused(const CgroupSetting& setting, const Error& error) {
  if (error.sys_errno == ENOENT) return fmt::format("this kernel has no {}", setting.file);
  if (error.sys_errno == ENODEV) return "not a whole disk (limits hold for disks, not for partitions)";
  if (error.sys_errno == EBUSY && setting.flag == "--memory")
    return "more than that is in use: free some or ask for more";
  return error.message;
}

}  // namespace

Result<CgroupDir> CgroupDir::make(const std::string& base, const std::string& path) {
  const std::string full = base + "/" + path;
  // The groups above are there nearly always: one call instead of one for each.
  if (::mkdir(full.c_str(), 0755) != 0 && errno != EEXIST) TRY(make_parents(base, path));
  return CgroupDir(TRY(sys::open(full, O_PATH | O_DIRECTORY)), full);
}

Result<std::optional<CgroupDir>> CgroupDir::open(const std::string& base, const std::string& path) {
  std::string full = base + "/" + path;
  auto fd = sys::open(full, O_PATH | O_DIRECTORY);
  if (!fd && fd.error().sys_errno == ENOENT) return std::optional<CgroupDir>{};
  return std::optional<CgroupDir>(CgroupDir(TRY(std::move(fd)), std::move(full)));
}

bool CgroupDir::has(const std::string& file) const {
  return ::faccessat(fd_.get(), file.c_str(), F_OK, 0) == 0;
}

Result<Fd> CgroupDir::open_to_write(const std::string& file) const {
  Fd fd(::openat(fd_.get(), file.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno(fmt::format("cannot open {}/{}", path_, file));
  return fd;
}

Result<void> CgroupDir::write(const std::string& file, std::string_view value) const {
  const Fd fd = TRY(open_to_write(file));
  if (::write(fd.get(), value.data(), value.size()) < 0) {
    return fail_errno(fmt::format("cannot write \"{}\" to {}/{}", value, path_, file));
  }
  return {};
}

Result<void> CgroupDir::set(const CgroupSetting& setting) const {
  auto written = write(setting.file, setting.value);
  if (written) return {};
  Error error = std::move(written).error();
  const Code code = error.code == Code::PermissionDenied ? Code::PermissionDenied : Code::FailedPrecondition;
  return fail(Error{code, error.sys_errno,
                    fmt::format("{}: cannot be set ({} {}): {}", setting.flag, setting.file, setting.value,
                                why_refused(setting, error))});
}

Result<std::string> CgroupDir::read(const std::string& file) const {
  const Fd fd(::openat(fd_.get(), file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(fmt::format("cannot open {}/{}", path_, file));
  return TRY_DURING(fmt::format("cannot read {}/{}", path_, file), read_all(fd.get()));
}

Result<std::optional<std::uint64_t>> CgroupDir::read_number(const std::string& file) const {
  const std::string text = TRY(read(file));
  const std::string_view word = trim(text);
  if (word == "max") return std::optional<std::uint64_t>{};
  const auto number = parse_u64(word);
  if (!number)
    return fail(Code::Internal, fmt::format("{}/{}: expected a number, found \"{}\"", path_, file, word));
  return number;
}

Result<void> CgroupDir::attach(pid_t pid) const {
  TRY_DURING(fmt::format("cannot move process {} into the control group", pid),
             write("cgroup.procs", std::to_string(pid)));
  return {};
}

Result<void> CgroupDir::give_to(uid_t uid, gid_t gid, const std::vector<std::string>& files) const {
  if (::chown(path_.c_str(), uid, gid) != 0)
    return fail_errno(fmt::format("cannot give {} to user {}", path_, uid));
  for (const std::string& file : files) {
    if (file.empty() || file.find('/') != std::string::npos) continue;
    if (::fchownat(fd_.get(), file.c_str(), uid, gid, 0) != 0 && errno != ENOENT)
      return fail_errno(fmt::format("cannot give {}/{} to user {}", path_, file, uid));
  }
  return {};
}

Result<std::vector<pid_t>> CgroupDir::pids() const {
  std::vector<pid_t> pids;
  TRY(collect_pids(path_, kMaxDepth, pids));
  return pids;
}

Result<bool> try_remove_group(const std::string& path) { return try_remove(path, kMaxDepth); }

Result<void> remove_group(const std::string& path) {
  const bool gone = TRY(wait_until(kRemoveTimeoutMs, [&] { return try_remove_group(path); }));
  if (gone) return {};
  return fail(Code::FailedPrecondition,
              fmt::format("cannot remove the control group {}: processes are left in it", path));
}

Result<void> write_below(const std::string& path, const std::string& file, std::string_view value) {
  return write_below_to(path, file, value, kMaxDepth);
}

std::string join_pids(const std::vector<pid_t>& pids) {
  std::vector<std::string> numbers;
  for (const pid_t pid : pids) numbers.push_back(std::to_string(pid));
  return join(numbers, ", ");
}

std::optional<std::uint64_t> flat_value(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return parse_u64(trim(line.substr(key.size() + 1)));
    }
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return std::nullopt;
}

void sleep_us(std::uint64_t microseconds) {
  const timespec time{static_cast<time_t>(microseconds / 1000000),
                      static_cast<long>(microseconds % 1000000 * 1000)};
  ::nanosleep(&time, nullptr);
}

}  // namespace berth::sys

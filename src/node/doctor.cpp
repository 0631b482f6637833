#include "node/doctor.hpp"

#include <fmt/core.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "kernel/store/store.hpp"
#include "sys/capability.hpp"
#include "sys/cgroup.hpp"
#include "sys/fd.hpp"
#include "sys/probe.hpp"
#include "sys/userns.hpp"
#include "unit/unit.hpp"

namespace berth::node {
namespace {

// One area's findings in the making.
class Area {
 public:
  Area(Diagnosis& diagnosis, std::string name) : diagnosis_(diagnosis), name_(std::move(name)) {}

  void add(std::string name, bool present, std::string detail) {
    diagnosis_.findings.push_back({name_, std::move(name), present, std::move(detail)});
  }
  void add(std::string name, const Result<void>& tried, std::string_view detail) {
    add(std::move(name), tried.has_value(), tried ? std::string(detail) : tried.error().message);
  }

 private:
  Diagnosis& diagnosis_;
  std::string name_;
};

// The directory itself, or the nearest one above it that exists.
std::string existing_part(const std::string& root) {
  std::filesystem::path path(root);
  std::error_code ignored;
  while (!std::filesystem::is_directory(path, ignored) && path.has_parent_path() &&
         path != path.root_path()) {
    path = path.parent_path();
  }
  return path.string();
}

// Last of all, as an ordinary user's units live in a user namespace, which cannot be left again.
void examine_units(Diagnosis& diagnosis, const std::string& run_directory) {
  const auto rootless = sys::enter_rootless(run_directory);
  Area area(diagnosis, "units");
  for (unit::Unit* unit : unit::all_units()) {
    const Result<void> runs = rootless ? unit->probe() : Result<void>(fail(rootless.error()));
    area.add(std::string(isolate::unit_name(unit->kind())), runs, "can run here");
    if (unit->kind() == isolate::UnitKind::Container) diagnosis.can_run_containers = runs.has_value();
  }
}

void examine_kernel(Diagnosis& diagnosis, const std::string& directory) {
  Area area(diagnosis, "kernel");
  utsname kernel{};
  ::uname(&kernel);
  area.add("version", true, fmt::format("{} {} {}", kernel.sysname, kernel.release, kernel.machine));
  for (const auto& [name, usable] : sys::probe_each_namespace()) {
    area.add(fmt::format("{} namespace", name), usable, "can be made");
  }
  area.add("user namespace", sys::probe_user_namespace(), "an ordinary user can be root of one");
  area.add("mount API", sys::probe_mount_api(), "fsopen, fsmount and move_mount");
  area.add("overlay", sys::probe_overlay(directory, ::geteuid() != 0), "on the store's file system");
  area.add("overlay in user namespace", sys::probe_overlay(directory, true), "with user.overlay attributes");
  area.add("idmapped mounts", sys::probe_idmapped_mount(directory), "of the store's file system");
  area.add("seccomp", sys::probe_seccomp(), "filters act");
  area.add("exit status of others", sys::probe_foreign_exit_status(), "survives the loss of a monitor");
  area.add("virtual machines", sys::probe_kvm(), "/dev/kvm makes them");
}

void examine_capabilities(Diagnosis& diagnosis) {
  Area area(diagnosis, "user");
  area.add("user", true, fmt::format("{}{}", ::geteuid(), ::geteuid() == 0 ? " (root)" : ""));
  const auto missing = sys::all_capabilities() & ~sys::held_capabilities();
  const auto names = sys::capability_names(missing);
  std::string_view consequence;
  if ((missing & sys::capability_bit(24)) != 0) {  // CAP_SYS_RESOURCE
    consequence = "; without CAP_SYS_RESOURCE no limit is raised above berth's own";
  }
  if (::geteuid() == 0) {
    area.add("capabilities", names.empty(),
             names.empty() ? "all" : "lacks " + join(names, ", ") + std::string(consequence));
  }
}

// "100000-165535" for a line "name:100000:65536" of /etc/subuid that is about this user.
std::string subordinate_ids(const std::string& file, const std::string& name) {
  const auto text = sys::read_file(file);
  if (!text) return {};
  for (const std::string& line : split(*text, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() != 3 || (fields[0] != name && fields[0] != std::to_string(::geteuid()))) continue;
    const auto first = parse_u64(fields[1]);
    const auto count = parse_u64(fields[2]);
    if (first && count && *count > 0) return fmt::format("{}-{}", *first, *first + *count - 1);
  }
  return {};
}

std::string find_program(std::string_view name) {
  for (const char* directory : {"/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin"}) {
    std::string path = fmt::format("{}/{}", directory, name);
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return {};
}

// The account's name, from /etc/passwd alone: a static program has no name-service switch.
std::string account_name() {
  const auto text = sys::read_file("/etc/passwd");
  if (!text) return {};
  for (const std::string& line : split(*text, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() > 2 && fields[2] == std::to_string(::geteuid())) return fields[0];
  }
  return {};
}

void examine_rootless(Diagnosis& diagnosis) {
  if (::geteuid() == 0) return;
  Area area(diagnosis, "user");
  const std::string name = account_name();
  for (const auto& [file, program] :
       {std::pair{"/etc/subuid", "newuidmap"}, std::pair{"/etc/subgid", "newgidmap"}}) {
    const std::string range = subordinate_ids(file, name);
    area.add(file, !range.empty(),
             range.empty()
                 ? fmt::format(
                       "no range for {}: only one user can exist in a container; add one with usermod", name)
                 : range);
    const std::string path = find_program(program);
    area.add(program, !path.empty(), path.empty() ? "not installed (Debian's package uidmap)" : path);
  }
}

std::string_view describe(sys::CgroupMode mode) {
  switch (mode) {
    case sys::CgroupMode::None:
      return "no control groups are mounted";
    case sys::CgroupMode::V1:
      return "version 1";
    case sys::CgroupMode::Hybrid:
      return "version 1 controllers beside an empty version 2 tree";
    case sys::CgroupMode::V2:
      return "version 2";
  }
  return "unknown";
}

// The block device's I/O scheduler, e.g. "mq-deadline"; empty where the file system has no such device.
std::string io_scheduler(const std::string& directory) {
  const auto status = sys::stat(directory);
  if (!status) return {};
  const std::string device =
      fmt::format("/sys/dev/block/{}:{}", major(status->st_dev), minor(status->st_dev));
  for (const char* queue :
       {"/queue/scheduler", "/../queue/scheduler"}) {  // a disk's own, or its partition's disk's
    const auto text = sys::read_file(device + queue);
    if (!text) continue;
    const auto open = text->find('[');
    const auto close = text->find(']');
    if (open != std::string::npos && close != std::string::npos)
      return text->substr(open + 1, close - open - 1);
  }
  return {};
}

void examine_limits(Diagnosis& diagnosis, const std::string& directory) {
  Area area(diagnosis, "limits");
  const auto host = sys::CgroupHost::probe();
  if (!host) return area.add("control groups", false, host.error().message);
  const bool writable = host->mode != sys::CgroupMode::None && host->writable;
  area.add("control groups", writable,
           fmt::format("{}{}", describe(host->mode), writable ? "" : "; this user cannot make groups"));
  constexpr std::array kControllers = {
      std::pair{"cpu", "--cpus, --cpu-weight"},
      std::pair{"cpuset", "--cpuset"},
      std::pair{"memory", "--memory, --memory-low, --swap"},
      std::pair{"pids", "--pids"},
      std::pair{"io", "--io-max"},
      std::pair{"freezer", "pause"},
      std::pair{"devices", "--device"},
  };
  for (const auto& [controller, options] : kControllers) {
    const std::string why_not = host->why_not(controller);
    area.add(controller, why_not.empty(),
             why_not.empty() ? options : fmt::format("{} ({})", why_not, options));
  }
  const std::string scheduler = io_scheduler(directory);
  area.add("io weight", scheduler == "bfq",
           scheduler == "bfq" ? "--io-weight"
                              : fmt::format("the store's disk has the {} scheduler, --io-weight needs bfq",
                                            scheduler.empty() ? "unknown" : scheduler));
}

void examine_store(Diagnosis& diagnosis, const std::string& root, const std::string& directory) {
  Area area(diagnosis, "store");
  const bool writable = ::access(directory.c_str(), W_OK) == 0;
  area.add("directory", writable,
           writable ? root : fmt::format("{}: this user cannot write to {}", root, directory));
  const auto kernel = kernel::KernelStore(root).find("");
  area.add("kernel of machines", kernel.has_value(), kernel ? kernel->name : kernel.error().message);
  struct statvfs space {};
  if (::statvfs(directory.c_str(), &space) != 0) return area.add("free space", fail_errno(directory), "");
  const std::uint64_t free_bytes = space.f_bavail * space.f_frsize;
  area.add("free space", free_bytes > (std::uint64_t{1} << 30), format_size(free_bytes));
}

void examine_programs(Diagnosis& diagnosis) {
  Area area(diagnosis, "programs");
  const std::string self = sys::read_link("/proc/self/exe").value_or("");
  for (const char* program : {"berth-monitor", "berth-image", "berth-vmm", "berth-init"}) {
    const std::string path = self.substr(0, self.rfind('/') + 1) + program;
    const bool there = ::access(path.c_str(), X_OK) == 0;
    area.add(program, there, there ? path : fmt::format("{} is not there: it belongs beside berth", path));
  }
}

}  // namespace

Json Diagnosis::to_json() const {
  Json list = Json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"area", finding.area},
                    {"name", finding.name},
                    {"present", finding.present},
                    {"detail", finding.detail}});
  }
  return {{"can_run_containers", can_run_containers}, {"findings", std::move(list)}};
}

Diagnosis diagnose(const sys::Paths& paths) {
  Diagnosis diagnosis;
  const std::string directory = existing_part(paths.root);
  examine_kernel(diagnosis, directory);
  examine_capabilities(diagnosis);
  examine_rootless(diagnosis);
  examine_limits(diagnosis, directory);
  examine_store(diagnosis, paths.root, directory);
  examine_programs(diagnosis);
  const auto others = static_cast<std::ptrdiff_t>(diagnosis.findings.size());
  examine_units(diagnosis, paths.run);
  std::rotate(diagnosis.findings.begin(), diagnosis.findings.begin() + others, diagnosis.findings.end());
  return diagnosis;
}

}  // namespace berth::node

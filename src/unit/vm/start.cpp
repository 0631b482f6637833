#include "unit/vm/start.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "base/json_value.hpp"
#include "isolate/cgroup.hpp"
#include "isolate/launcher.hpp"
#include "kernel/store/cpio.hpp"
#include "kernel/store/store.hpp"
#include "relay/frame.hpp"
#include "sys/interface.hpp"
#include "sys/mapping.hpp"
#include "sys/message_socket.hpp"
#include "sys/process.hpp"
#include "sys/spawn.hpp"
#include "sys/stream_socket.hpp"
#include "sys/terminal.hpp"
#include "sys/tty.hpp"
#include "unit/vm/layer_image.hpp"
#include "unit/vm/machine_config.hpp"
#include "unit/vm/user_network.hpp"
#include "vmm/unit_task.hpp"

namespace berth::unit {
namespace {

using isolate::NetworkMode;

// A guest that has not come up by then will not; machines that are many times slower than ours take a minute.
constexpr int kBootTimeoutMs = 300'000;
constexpr std::size_t kMaxProgramBytes = std::size_t{64} << 20;

// Nothing is said on the console but emergencies, whose text says why a guest ended.
constexpr std::string_view kCommandLine =
    "console=ttyS0 quiet loglevel=1 panic=-1 tsc=reliable no_timer_check random.trust_cpu=on mitigations=off "
    "cryptomgr.notests rcupdate.rcu_expedited=1 8250.nr_uarts=1 init_on_alloc=0 numa=off";

Result<sys::Fd> file_in_memory(const std::string& name, const std::string& content) {
  sys::Fd file = TRY(sys::make_memory_file(name, content.size()));
  TRY(sys::write_all(file.get(), content));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_errno(fmt::format("cannot rewind {}", name));
  return file;
}

// The guest's first process, and behind it the kernel's modules.
Result<std::string> make_initramfs(const kernel::KernelRecord& kernel) {
  kernel::CpioWriter archive;
  const std::string program = TRY(sys::sibling_program("berth-init"));
  archive.file("init", TRY(sys::read_file(program, kMaxProgramBytes)), 0755);
  archive.directory("dev");
  return std::move(archive).finish() + TRY(sys::read_file(kernel.modules_archive(), kMaxProgramBytes));
}

std::string fd_name(std::size_t number) { return fmt::format("fd:{}", number); }

// The first bits say that the address was given by no maker of hardware, and is one interface's (IEEE 802).
std::string mac_address(const UnitConfig& config) {
  std::string mac = "02";
  for (std::size_t i = 0; i < 10; i += 2) mac += ":" + config.id.substr(i, 2);
  return mac;
}

std::string make_task(const UnitConfig& config) {
  Json disks = Json::array();
  for (std::size_t i = 0; i < config.rootfs.layers.size(); ++i)
    disks.push_back({{"path", fd_name(vmm::kFirstDiskFd + i)}, {"read_only", true}});
  Json machine = {{"kernel", fd_name(vmm::kKernelFd)},
                  {"initramfs", fd_name(vmm::kInitramfsFd)},
                  {"command_line", fmt::format("{} nr_cpus={}", kCommandLine, guest_processors(config))},
                  {"vcpus", guest_processors(config)},
                  {"memory", guest_memory_bytes(config)},
                  {"disks", std::move(disks)}};
  if (config.network != NetworkMode::None)
    machine["network"] = {{"kind", config.network == NetworkMode::Tap ? "tap" : "stream"},
                          {"path", fd_name(vmm::kNetworkFd)},
                          {"mac", mac_address(config)}};
  return Json{{"machine", machine}, {"start", guest_config(config).to_json()}}.dump();
}

// What the new process is given; the parent's side of it.
struct Parts {
  sys::Fd task, kernel, initramfs, listener, ending, console, starter, theirs;
  std::vector<sys::Fd> disks;
  std::unique_ptr<UserNetwork> user_network;
  sys::Fd tap;
  sys::Fd terminal, slave;  // with a terminal
};

Result<Parts> make_parts(const UnitConfig& config, const InstancePaths& paths, const Stdio& stdio) {
  const auto kernel = TRY(kernel::KernelStore(paths.root).find(""));
  Parts parts;
  if (config.network == NetworkMode::User) parts.user_network = TRY(UserNetwork::start());
  if (config.network == NetworkMode::Tap) {
    auto tap = sys::open_tap(config.interface->tap);
    if (!tap) return fail(isolate::before_program(tap.error()));
    parts.tap = *std::move(tap);
  }
  parts.task = TRY(file_in_memory("berth-task", make_task(config)));
  parts.kernel = TRY(sys::open(kernel.vmlinux(), O_RDONLY));
  for (const std::string& layer : config.rootfs.layers)
    parts.disks.push_back(TRY(sys::open(TRY(layer_image(layer)), O_RDONLY)));
  parts.initramfs = TRY(file_in_memory("berth-initramfs", TRY(make_initramfs(kernel))));
  parts.listener = TRY(sys::listen_stream(paths.run, std::string(kMachineSocket)));
  constexpr int kFresh = O_RDWR | O_CREAT | O_TRUNC;
  parts.ending = TRY(sys::open(ending_file(paths), kFresh, 0600));
  parts.console = TRY(sys::open(console_file(paths), kFresh | O_APPEND, 0600));
  auto pair = TRY(sys::socket_pair(SOCK_SEQPACKET));
  parts.starter = std::move(pair.first);
  parts.theirs = std::move(pair.second);
  if (!stdio.tty) return parts;
  int master = -1, slave = -1;
  if (const int error = sys::open_terminal(&master, &slave); error != 0)
    return fail_errno("cannot make a terminal", error);
  parts.terminal = sys::Fd(master);
  parts.slave = sys::Fd(slave);
  TRY(sys::make_raw(slave));
  return parts;
}

Result<pid_t> spawn_monitor(const Parts& parts, const Stdio& stdio) {
  sys::SpawnOptions options{.fds = {{parts.theirs.get(), vmm::kStarterFd},
                                    {parts.task.get(), vmm::kTaskFd},
                                    {parts.listener.get(), vmm::kListenerFd},
                                    {parts.ending.get(), vmm::kEndingFd},
                                    {parts.console.get(), vmm::kConsoleFd},
                                    {parts.kernel.get(), vmm::kKernelFd},
                                    {parts.initramfs.get(), vmm::kInitramfsFd}},
                            .new_session = !stdio.tty};  // with a terminal it makes the session itself
  if (parts.tap) options.fds.emplace_back(parts.tap.get(), vmm::kNetworkFd);
  if (parts.user_network) options.fds.emplace_back(parts.user_network->machine_end(), vmm::kNetworkFd);
  for (std::size_t i = 0; i < parts.disks.size(); ++i)
    options.fds.emplace_back(parts.disks[i].get(), static_cast<int>(vmm::kFirstDiskFd + i));
  for (int fd = 0; fd < 3; ++fd)
    options.fds.emplace_back(stdio.tty ? parts.slave.get() : stdio.fds[static_cast<std::size_t>(fd)], fd);
  return sys::spawn(TRY(sys::sibling_program("berth-vmm")), {"berth-vmm", "--unit"}, options);
}

// The machine's control group, where this user can make groups; it is empty yet.
Result<std::unique_ptr<sys::Cgroup>> make_cgroup(const UnitConfig& config) {
  const sys::Resources resources = machine_resources(config);
  const sys::CgroupHost& host = *TRY(isolate::cgroup_host());
  if (host.why_none().empty()) return sys::Cgroup::create(host, isolate::cgroup_path(config), resources);
  if (resources.empty()) return std::unique_ptr<sys::Cgroup>();
  return fail(Code::FailedPrecondition, fmt::format("{}: {}", resources.flags().front(), host.why_none()));
}

Result<void> await_start(int starter) {
  pollfd fd{starter, POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&fd, 1, kBootTimeoutMs);
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) return fail(Code::DeadlineExceeded, "the machine has not come up in 5 minutes");
  std::string message;
  if (sys::receive_message(starter, message) != sys::Transfer::Done || message.empty())
    return fail(Code::Aborted, "the machine's monitor died while starting it");
  if (message[0] == vmm::kStartedWord) return {};
  return fail(relay::decode_error(std::string_view(message).substr(1)));
}

Result<void> start_process(pid_t pid, sys::Cgroup* cgroup, const Parts& parts) {
  if (cgroup != nullptr) TRY(cgroup->attach(pid));
  if (sys::send_message(parts.starter.get(), vmm::kGo) != sys::Transfer::Done)
    return fail(Code::Aborted, "the machine's monitor died at once");
  return {};
}

}  // namespace

std::string ending_file(const InstancePaths& paths) { return paths.state + "/ending"; }
std::string console_file(const InstancePaths& paths) { return paths.state + "/console.log"; }

Result<Launched> start_machine(const UnitConfig& config, const InstancePaths& paths, const Stdio& stdio) {
  Parts parts = TRY(make_parts(config, paths, stdio));
  const auto cgroup = TRY(make_cgroup(config));
  Launched launched{
      .pid = TRY(spawn_monitor(parts, stdio)), .pidfd = {}, .terminal = std::move(parts.terminal)};
  parts.theirs.reset();
  parts.slave.reset();
  auto going = start_process(launched.pid, cgroup.get(), parts);
  parts.tap.reset();
  if (const auto up = parts.user_network ? parts.user_network->await() : Result<void>(); going && !up)
    going = fail(up.error());
  auto pidfd = sys::open_pidfd(launched.pid);
  if (going && !pidfd) going = fail(pidfd.error());
  Result<void> started = going ? Result<void>() : fail(isolate::before_program(going.error()));
  if (going) started = await_start(parts.starter.get());
  if (started) {
    launched.pidfd = *std::move(pidfd);
    return launched;
  }
  if (pidfd) static_cast<void>(sys::send_signal(pidfd->get(), SIGKILL));
  parts.starter.reset();  // ends it where the signal could not be sent
  static_cast<void>(sys::reap(launched.pid, true));
  return fail(started.error());
}

}  // namespace berth::unit

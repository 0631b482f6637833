#include "vmm/unit_run.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "base/text.hpp"
#include "device/virtio/vsock.hpp"
#include "relay/host_session.hpp"
#include "sys/message_socket.hpp"
#include "sys/process.hpp"
#include "sys/terminal.hpp"
#include "vmm/jail.hpp"
#include "vmm/machine.hpp"
#include "vmm/run.hpp"
#include "vmm/unit_task.hpp"

namespace berth::vmm {
namespace {

constexpr int kMachineFailed = 125;

// The machine and, once it has ended, how; its end makes `ended()` readable.
class Watched {
 public:
  static Result<std::unique_ptr<Watched>> start(std::unique_ptr<Machine> machine) {
    return std::unique_ptr<Watched>(new Watched(std::move(machine), TRY(sys::pipe())));
  }
  ~Watched() {
    machine_->stop();
    if (thread_.joinable()) thread_.join();
  }
  int ended() const { return pipe_.read.get(); }
  const Result<device::End>& result() {  // once, when ended() is readable
    thread_.join();
    return *result_;
  }

 private:
  Watched(std::unique_ptr<Machine> machine, sys::Pipe pipe)
      : machine_(std::move(machine)), pipe_(std::move(pipe)) {
    machine_->start();
    thread_ = std::thread([this] {
      result_ = machine_->wait();
      pipe_.write.reset();
    });
  }
  std::unique_ptr<Machine> machine_;
  sys::Pipe pipe_;
  std::optional<Result<device::End>> result_;
  std::thread thread_;
};

// The kernel's last words, where it had any: a panic asks for a reset, so the end alone does not tell.
std::string panic_message() {
  constexpr std::string_view kPanic = "Kernel panic - not syncing: ";
  std::string text(kMaxConsoleBytes, '\0');
  const ssize_t count = ::pread(kConsoleFd, text.data(), text.size(), 0);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  const auto at = text.rfind(kPanic);
  if (at == std::string::npos) return {};
  const std::string_view line = std::string_view(text).substr(at + kPanic.size(), 200);
  return std::string(trim(line.substr(0, line.find('\n'))));
}

std::string describe_end(const Result<device::End>& end) {
  if (!end) return fmt::format("the machine's monitor failed: {}", end.error().message);
  const std::string panic = end->kind == device::EndKind::Reset ? panic_message() : "";
  return panic.empty() ? describe(*end) : fmt::format("the guest's kernel panicked: {}", panic);
}

class UnitRun {
 public:
  UnitRun(relay::HostSession& session, device::VirtioVsock& vsock, Watched& machine)
      : session_(session), vsock_(vsock), machine_(machine), starter_(kStarterFd), listener_(kListenerFd) {}

  int run() {
    while (!session_.finished()) {
      std::vector<pollfd> fds = {{machine_.ended(), POLLIN, 0},
                                 {session_.started() ? listener_.get() : -1, POLLIN, 0},
                                 {starter_.get(), POLLIN, 0}};
      const std::size_t own = fds.size();
      session_.prepare(fds);
      if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return fail_with("cannot wait");
      session_.handle(std::span(fds).subspan(own));
      if (session_.refused()) return refuse(*session_.refused());
      if (session_.started() && starter_) tell_starter(std::string(1, kStartedWord));
      if (fds[1].revents != 0) accept();
      if (fds[2].revents != 0 && starter_) return kMachineFailed;  // whoever started us has died
      if (fds[0].revents != 0 && !session_.exit_code()) return fail_with(describe_end(machine_.result()));
    }
    if (session_.exit_code()) {
      if (session_.oom_kills() > 0)
        static_cast<void>(sys::write_all(
            kEndingFd,
            fmt::format("the guest ran out of memory and killed {}: raise --memory", session_.oom_kills())));
      return *session_.exit_code();
    }
    return fail_with(why_broken());
  }

 private:
  // A guest that resets itself closes its connections first.
  std::string why_broken() {
    constexpr int kPatienceMs = 2000;
    pollfd ended{machine_.ended(), POLLIN, 0};
    if (::poll(&ended, 1, kPatienceMs) > 0) return describe_end(machine_.result());
    return "the guest has broken its connection to the host";
  }

  void accept() {
    sys::Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection) vsock_.connect(relay::kPort, std::move(connection));
  }

  void tell_starter(const std::string& message) {
    static_cast<void>(sys::send_message(starter_.get(), message));
    starter_.reset();
  }

  int refuse(const Error& error) {
    tell_starter(kFailedWord + relay::encode_error(error));
    return kMachineFailed;
  }

  // The end was not the workload's: says why to those who wait for the start, and for later.
  int fail_with(const std::string& reason) {
    static_cast<void>(sys::write_all(kEndingFd, reason));
    if (!starter_) return kMachineFailed;
    return refuse({Code::Aborted, 0, fmt::format("{} before the program ran", reason)});
  }

  relay::HostSession& session_;
  device::VirtioVsock& vsock_;
  Watched& machine_;
  sys::Fd starter_, listener_;
};

Result<void> await_go() {
  std::string message;
  if (sys::receive_message(kStarterFd, message) != sys::Transfer::Done || message != kGo)
    return fail(Code::Aborted, "whoever started the machine has gone");
  return {};
}

Result<int> prepare_and_run() {
  TRY(await_go());
  sys::Fd signals = TRY(relay::take_over_signals());
  UnitTask task = TRY(parse_unit_task(TRY(sys::read_all(kTaskFd))));
  if (task.tty && sys::adopt_terminal(STDIN_FILENO) != 0) return fail_errno("cannot take the terminal");
  TRY_DURING("cannot shut the machine's process in", enter_jail());
  auto machine = TRY(Machine::create(task.machine, TRY(Console::create(-1, kConsoleFd, kMaxConsoleBytes))));
  auto device = TRY(device::VirtioVsock::create());
  device::VirtioVsock& vsock = *device;
  TRY(machine->add_virtio(std::move(device)));
  auto [ours, theirs] = TRY(sys::socket_pair(SOCK_STREAM));
  vsock.offer(relay::kPort, std::move(theirs));
  TRY_DURING("cannot shut the machine's process in", filter_system_calls());
  const auto watched = TRY(Watched::start(std::move(machine)));
  relay::HostSession session(std::move(ours), std::move(signals), task.tty);
  session.ask(relay::Kind::Start, std::move(task.start));
  return UnitRun(session, vsock, *watched).run();
}

}  // namespace

int run_unit() {
  const auto code = prepare_and_run();
  if (code) return *code;
  // Not as NotFound or PermissionDenied, which would speak of the workload's program.
  const Error error{Code::Internal, 0, code.error().message};
  static_cast<void>(sys::send_message(kStarterFd, kFailedWord + relay::encode_error(error)));
  static_cast<void>(sys::write_all(kEndingFd, error.message));
  return kMachineFailed;
}

}  // namespace berth::vmm

#include "guest_init/session.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "guest_init/boot.hpp"
#include "sys/process.hpp"
#include "sys/terminal.hpp"

namespace berth::guest_init {
namespace {

unit::Unit& container() { return unit::unit_of(isolate::UnitKind::Container); }

Result<unit::ExecConfig> parse_exec(const std::string& text) {
  const Json json = TRY(parse_json(text, "exec"));
  const JsonView view(json, "exec");
  unit::ExecConfig exec;
  exec.args = TRY(view.strings_or_empty("args"));
  exec.env = TRY(view.strings_or_empty("env"));
  exec.cwd = TRY(view.string_or("cwd", ""));
  exec.user = TRY(view.string_or("user", ""));
  exec.tty = TRY(view.bool_or("tty", false));
  exec.privileged = TRY(view.bool_or("privileged", false));
  if (exec.args.empty()) return view.bad("args: must not be empty");
  return exec;
}

// Of the whole guest, since it began (proc(5), /proc/vmstat).
std::uint64_t oom_kills() {
  constexpr std::string_view kCounter = "\noom_kill ";
  const std::string text = sys::read_file("/proc/vmstat").value_or("");
  const auto at = text.find(kCounter);
  if (at == std::string::npos) return 0;
  const std::string_view rest = std::string_view(text).substr(at + kCounter.size());
  return parse_u64(rest.substr(0, rest.find('\n'))).value_or(0);
}

// Any user of the image may reopen /dev/stdout.
Result<sys::Pipe> open_to_all() {
  sys::Pipe pipe = TRY(sys::pipe());
  if (::fchmod(pipe.write.get(), 0666) != 0) return fail_errno("cannot open a pipe to all users");
  return pipe;
}

}  // namespace

Session::Session(sys::Fd connection, Workload& workload, bool first)
    : workload_(workload),
      first_(first),
      relay_(std::move(connection), [this](const relay::Frame& frame) { receive(frame); }) {
  if (first_) relay_.send(relay::Kind::Hello, std::to_string(relay::kVersion));
}

void Session::receive(const relay::Frame& frame) {
  switch (frame.kind) {
    case relay::Kind::Start:
    case relay::Kind::Exec: {
      if (launched_ || exit_code_) return;
      const auto started = frame.kind == relay::Kind::Start ? start(frame.payload) : exec(frame.payload);
      if (started) return relay_.send(relay::Kind::Started);
      relay_.send(relay::Kind::Failed, relay::encode_error(started.error()));
      exit_code_ = 125;
      told_end_ = true;
      return;
    }
    case relay::Kind::Signal:
      return signal(frame.payload);
    case relay::Kind::Resize:
      return resize(frame.payload);
    default:
      return;
  }
}

Result<void> Session::start(const std::string& json) {
  if (!first_) return fail(Code::FailedPrecondition, "the guest runs its workload already");
  const Json document = TRY(parse_json(json, "start"));
  workload_.config = TRY(isolate::UnitConfig::from_json(JsonView(document, "start")));
  isolate::UnitConfig& config = *workload_.config;
  for (std::size_t i = 0; i < config.rootfs.layers.size(); ++i) {
    TRY(mount_layer(i));
    config.rootfs.layers[i] = fmt::format("{}/{}", kLayers, i);
  }
  if (config.interface) TRY(set_up_network(*config.interface));
  TRY(launch(config.tty, config.stdin_open,
             [&](const unit::Stdio& stdio) { return container().launch(config, instance_paths(), stdio); }));
  workload_.running = {launched_->pid, TRY(sys::process_start_time(launched_->pid))};
  return {};
}

Result<void> Session::exec(const std::string& json) {
  if (!workload_.config) return fail(Code::FailedPrecondition, "the guest runs no workload yet");
  const unit::ExecConfig config = TRY(parse_exec(json));
  return launch(config.tty, true, [&](const unit::Stdio& stdio) {
    return container().exec(*workload_.config, instance_paths(), workload_.running, config, stdio);
  });
}

Result<void> Session::launch(bool tty, bool input,
                             const std::function<Result<unit::Launched>(const unit::Stdio&)>& run) {
  if (tty) {
    launched_ = TRY(run({.fds = {-1, -1, -1}, .tty = true}));
    terminal_ = std::move(launched_->terminal);
    relay_.read_from(1, TRY(sys::duplicate(terminal_.get())));
    relay_.write_to(0, TRY(sys::duplicate(terminal_.get())));
    return {};
  }
  sys::Pipe in, out = TRY(open_to_all()), err = TRY(open_to_all());
  if (input)
    in = TRY(open_to_all());
  else
    in.read = TRY(sys::open("/dev/null", O_RDONLY));
  launched_ = TRY(run({.fds = {in.read.get(), out.write.get(), err.write.get()}, .tty = false}));
  if (in.write) relay_.write_to(0, std::move(in.write));
  relay_.read_from(1, std::move(out.read));
  relay_.read_from(2, std::move(err.read));
  return {};
}

void Session::signal(const std::string& payload) {
  const auto number = parse_u64(payload);
  if (number && launched_ && !exit_code_)
    static_cast<void>(sys::send_signal(launched_->pidfd.get(), static_cast<int>(*number)));
}

void Session::resize(const std::string& payload) {
  const auto blank = std::min(payload.find(' '), payload.size());
  const auto rows = parse_u64(std::string_view(payload).substr(0, blank));
  const auto columns = parse_u64(std::string_view(payload).substr(std::min(blank + 1, payload.size())));
  if (rows && columns && *rows <= UINT16_MAX && *columns <= UINT16_MAX && terminal_)
    static_cast<void>(sys::set_window_size(
        terminal_.get(), {static_cast<unsigned short>(*rows), static_cast<unsigned short>(*columns)}));
}

void Session::process_ended(int wait_status) { exit_code_ = sys::exit_code_of(wait_status); }

void Session::advance() {
  if (!exit_code_ || told_end_) return;
  if (!relay_.drain()) return;
  relay_.send(relay::Kind::Ended, fmt::format("{} {}", *exit_code_, oom_kills()));
  told_end_ = true;
}

bool Session::done() const {
  const bool idle = !launched_ || exit_code_.has_value();
  if (relay_.closed()) return idle;
  // The first one stays until the host has heard the end: what was sent is on its way when the machine goes
  // off.
  return !first_ && told_end_ && relay_.sent();
}

}  // namespace berth::guest_init

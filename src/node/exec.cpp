#include "node/exec.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include "node/exec_streams.hpp"
#include "sys/process.hpp"

namespace berth::node {
namespace {

// The process outlives us without a terminal or pipe of ours.
Result<int> launch_detached(unit::Unit& unit, const isolate::InstancePaths& paths, const Instance& instance,
                            const ExecOptions& options) {
  const sys::Fd nothing = TRY(sys::open("/dev/null", O_RDWR));
  const unit::Stdio stdio{.fds = {nothing.get(), nothing.get(), nothing.get()}, .tty = false};
  unit::ExecConfig process = options.process;
  process.tty = false;
  TRY(unit.exec(instance.config, paths, {instance.pid, instance.start_time}, process, stdio));
  return 0;
}

}  // namespace

Result<int> exec(Node& node, const Instance& instance, const ExecOptions& options) {
  if (instance.state != State::Running) {
    return fail(Code::FailedPrecondition, fmt::format("cannot run a process in {}: it is {}",
                                                      instance.config.name, state_name(instance.state)));
  }
  unit::Unit& unit = unit::unit_of(instance.config.unit);
  const isolate::InstancePaths paths = node.paths.instance(instance.config.id);
  TRY(node.store.record(instance.config.id, "exec", options.process.args.front()));
  if (options.detach) return launch_detached(unit, paths, instance, options);
  ExecStreams streams = TRY(ExecStreams::create(options.process.tty, options.input));
  auto launched = TRY(unit.exec(instance.config, paths, {instance.pid, instance.start_time}, options.process,
                                streams.stdio()));
  streams.launched(std::move(launched.terminal));
  TRY(streams.serve(launched.pidfd.get()));
  const auto status = TRY(sys::reap(launched.pid, true));
  return sys::exit_code_of(status.value_or(0));
}

}  // namespace berth::node

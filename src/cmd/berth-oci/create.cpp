// create, start and run.
#include "oci/run/create.hpp"

#include <unistd.h>

#include <cstdlib>

#include "base/text.hpp"
#include "cmd/berth-oci/command.hpp"
#include "cmd/berth-oci/options.hpp"
#include "oci/run/delete.hpp"
#include "oci/run/foreground.hpp"

namespace berth::cmd {
namespace {

struct MakeOptions {
  oci::CreateRequest request;
  bool no_pivot = false;
  bool no_new_keyring = false;
  bool no_subreaper = false;  // runc's; berth never makes itself one
  bool detach = false;
  bool keep = false;
};

void declare(Options& options, MakeOptions& made) {
  options.value("bundle", 'b', made.request.bundle);
  options.value("config", 'f', made.request.config);
  options.value("console-socket", 0, made.request.console_socket);
  options.value("pid-file", 0, made.request.pid_file);
  options.number("preserve-fds", 0, made.request.options.preserve_fds);
  options.flag("no-pivot", 0, made.no_pivot);
  options.flag("no-new-keyring", 0, made.no_new_keyring);
  options.flag("no-subreaper", 0, made.no_subreaper);
}

// What systemd's socket activation hands to this very process (sd_listen_fds(3)).
void take_listen_fds(oci::CreateOptions& options) {
  const auto variable = [](const char* name) {
    const char* value = ::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  constexpr std::uint64_t kMost = 4096;
  const auto count = parse_u64(variable("LISTEN_FDS"));
  if (!count || *count > kMost || parse_u64(variable("LISTEN_PID")) != static_cast<std::uint64_t>(::getpid()))
    return;
  options.listen_fds = static_cast<int>(*count);
  options.listen_names = variable("LISTEN_FDNAMES");
}

Result<void> complete(MakeOptions& made, const Globals& globals, const Args& operands) {
  made.request.id = TRY(container_id(operands));
  made.request.root = oci::state_root(globals.root);
  made.request.options.systemd_cgroup = uses_systemd(globals);
  made.request.options.pivot = !made.no_pivot;
  made.request.options.new_keyring = !made.no_new_keyring;
  take_listen_fds(made.request.options);
  return {};
}

// Ends the container that its foreground `run` did not get to its end.
Result<int> stay(oci::Container& container, const MakeOptions& made) {
  auto code = oci::stay_with(container.process);
  const auto removed = made.keep ? Result<void>() : oci::remove(made.request.root, made.request.id, true);
  const int exit_code = TRY(std::move(code));
  TRY(removed);
  return exit_code;
}

}  // namespace

Result<int> run_create(const Globals& globals, const Args& args) {
  MakeOptions made;
  Options options;
  declare(options, made);
  TRY(complete(made, globals, TRY(options.parse(args, false))));
  TRY(oci::create(made.request));
  return 0;
}

Result<int> run_start(const Globals& globals, const Args& args) {
  const std::string id = TRY(container_id(TRY(Options().parse(args, false))));
  oci::ContainerDir dir = TRY(oci::ContainerDir::open(oci::state_root(globals.root), id));
  TRY(dir.lock());
  TRY(oci::start(dir, TRY(oci::State::load(dir))));
  return 0;
}

Result<int> run_run(const Globals& globals, const Args& args) {
  MakeOptions made;
  Options options;
  declare(options, made);
  options.flag("detach", 'd', made.detach);
  options.flag("keep", 0, made.keep);
  TRY(complete(made, globals, TRY(options.parse(args, false))));
  made.request.keeps_terminal = !made.detach;
  if (!made.detach) oci::block_forwarded_signals();
  oci::Container container = TRY(oci::create(made.request));
  if (auto started = oci::start(container.dir, container.state); !started) {
    oci::clear_up(container.dir, container.state);
    return fail(std::move(started).error());
  }
  container.dir.unlock();
  return made.detach ? Result<int>(0) : stay(container, made);
}

}  // namespace berth::cmd

// exec.
#include "oci/run/exec.hpp"

#include "cmd/berth-oci/command.hpp"
#include "cmd/berth-oci/options.hpp"
#include "oci/run/foreground.hpp"
#include "oci/state/container_dir.hpp"

namespace berth::cmd {

Result<int> run_exec(const Globals& globals, const Args& args) {
  oci::ExecRequest request;
  bool detach = false;
  Options options;
  options.value("console-socket", 0, request.console_socket);
  options.value("cwd", 0, request.cwd);
  options.list("env", 'e', request.env);
  options.flag("tty", 't', request.tty);
  options.value("user", 'u', request.user);
  options.list("additional-gids", 'g', request.additional_gids);
  options.value("process", 'p', request.process_file);
  options.flag("detach", 'd', detach);
  options.value("pid-file", 0, request.pid_file);
  options.value("process-label", 0, request.process_label);
  options.value("apparmor", 0, request.apparmor);
  options.flag("no-new-privs", 0, request.no_new_privileges);
  options.list("cap", 'c', request.capabilities);
  options.number("preserve-fds", 0, request.preserve_fds);
  options.list("cgroup", 0, request.cgroups);
  options.flag("ignore-paused", 0, request.ignore_paused);
  Args operands = TRY(options.parse(args, true));
  request.root = oci::state_root(globals.root);
  if (!operands.empty()) {
    request.id = operands.front();
    request.args.assign(operands.begin() + 1, operands.end());
  }
  if (request.id.empty() || (request.args.empty() && request.process_file.empty()))
    return fail(Code::InvalidArgument, "exec: name the container and a program (or give --process)");
  request.keeps_terminal = !detach;
  if (!detach) oci::block_forwarded_signals();
  auto process = TRY(oci::exec(request));
  return detach ? Result<int>(0) : oci::stay_with(process);
}

}  // namespace berth::cmd

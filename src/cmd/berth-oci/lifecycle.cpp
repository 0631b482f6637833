// kill, delete, pause and resume.
#include <fmt/core.h>

#include "cmd/berth-oci/command.hpp"
#include "cmd/berth-oci/options.hpp"
#include "oci/run/delete.hpp"
#include "oci/run/inspect.hpp"
#include "sys/signals.hpp"

namespace berth::cmd {
namespace {

Result<int> set_paused(const Globals& globals, const Args& args, bool paused) {
  TRY(oci::pause(oci::state_root(globals.root), TRY(container_id(TRY(Options().parse(args, false)))),
                 paused));
  return 0;
}

}  // namespace

Result<int> run_kill(const Globals& globals, const Args& args) {
  bool all = false;
  Options options;
  options.flag("all", 'a', all);
  Args operands = TRY(options.parse(args, false));
  std::string signal = "SIGTERM";
  if (operands.size() == 2) {
    signal = operands.back();
    operands.pop_back();
  }
  // 0 asks whether a signal could be sent (kill(2)).
  const int number = signal == "0" ? 0 : TRY(sys::parse_signal(signal));
  TRY(oci::kill(oci::state_root(globals.root), TRY(container_id(operands)), number, all));
  return 0;
}

Result<int> run_delete(const Globals& globals, const Args& args) {
  bool force = false;
  Options options;
  options.flag("force", 'f', force);
  const std::string id = TRY(container_id(TRY(options.parse(args, false))));
  TRY(oci::remove(oci::state_root(globals.root), id, force));
  return 0;
}

Result<int> run_pause(const Globals& globals, const Args& args) { return set_paused(globals, args, true); }
Result<int> run_resume(const Globals& globals, const Args& args) { return set_paused(globals, args, false); }

}  // namespace berth::cmd

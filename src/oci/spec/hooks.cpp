#include "oci/spec/hooks.hpp"

#include <climits>

namespace berth::oci {
namespace {

Result<Hook> read_hook(const JsonView& view) {
  Hook hook;
  hook.path = TRY(view.string("path"));
  if (!hook.path.starts_with('/')) return TRY(view.at("path")).bad("not an absolute path");
  hook.args = TRY(view.strings_or_empty("args"));
  if (hook.args.empty()) hook.args.push_back(hook.path);
  hook.env = TRY(view.strings_or_empty("env"));
  if (const auto timeout = TRY(view.find("timeout"))) {
    const std::int64_t seconds = TRY(timeout->as_int());
    if (seconds <= 0 || seconds > INT_MAX / 1000) return timeout->bad("must be more than 0 seconds");
    hook.timeout_s = static_cast<int>(seconds);
  }
  return hook;
}

}  // namespace

Result<Hooks> Hooks::from_json(const JsonView& view) {
  Hooks hooks;
  for (std::size_t stage = 0; stage < kHookStages.size(); ++stage) {
    for (const JsonView& item : TRY(view.array_or_empty(kHookStages.at(stage))))
      hooks.lists_.at(stage).push_back(TRY(read_hook(item)));
  }
  return hooks;
}

}  // namespace berth::oci

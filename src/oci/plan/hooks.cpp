// Hooks (runtime-spec, config.md, "POSIX-platform Hooks"): those of the runtime's side are errands of the
// launcher, those of the container's side are steps of the child.
#include "oci/plan/hooks.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include "base/log.hpp"
#include "oci/plan/context.hpp"
#include "sys/hook.hpp"

namespace berth::oci {
namespace {

constexpr int kMsPerSecond = 1000;

// Where hooks write to; empty: where the runtime does.
struct Output {
  std::shared_ptr<sys::Fd> out;
  std::shared_ptr<sys::Fd> error;

  static Result<Output> open(const Wishes& wishes) {
    return Output{TRY(append_to(wishes.hooks_stdout)), TRY(append_to(wishes.hooks_stderr))};
  }

 private:
  static Result<std::shared_ptr<sys::Fd>> append_to(const std::string& path) {
    if (path.empty()) return std::shared_ptr<sys::Fd>();
    return std::make_shared<sys::Fd>(
        TRY_DURING("output of hooks", sys::open(path, O_WRONLY | O_CREAT | O_APPEND, 0700)));
  }
};

std::shared_ptr<sys::HookCommand> command_of(const Hook& hook, const Output& output) {
  const int timeout_ms = hook.timeout_s == 0 ? -1 : hook.timeout_s * kMsPerSecond;
  auto command = std::make_shared<sys::HookCommand>(hook.path, hook.args, hook.env, timeout_ms);
  command->write_to(output.out, output.error);
  return command;
}

Result<void> run_one(const Hook& hook, const Output& output, std::string_view stage,
                     const std::string& state) {
  const auto command = command_of(hook, output);
  const sys::Fd input = TRY(sys::make_memory_file(state));
  const auto outcome = command->run(input.get(), -1);
  if (outcome.good()) return {};
  return fail(Code::Aborted, fmt::format("{} hook {}: {}", stage, hook.path, command->describe(outcome)));
}

// `pid` is what the state says: the process as the host numbers it.
int run_in_child(const sys::HookCommand& command, const StateText& text, const isolate::ChildContext& context,
                 int root) noexcept {
  const int input = sys::make_memory_file(text.before_pid.data(), text.before_pid.size(), context.outer_pid,
                                          text.after_pid.data(), text.after_pid.size());
  if (input < 0) return -input;
  const sys::Fd file(input);
  const auto outcome = command.run(input, root);
  if (outcome.timed_out) return ETIMEDOUT;
  if (outcome.error != 0) return outcome.error;
  return outcome.exit_code == 0 ? 0 : ECANCELED;
}

// Appends a step for each hook of `stage`, which the child runs.
Result<void> add_child_hooks(const Creation& creation, HookStage stage, Status status,
                             std::shared_ptr<int> host_root, isolate::ChildSteps& steps) {
  const auto& hooks = creation.spec.hooks.of(stage);
  if (hooks.empty()) return {};
  const Output output = TRY(Output::open(creation.spec.wishes));
  const auto text = std::make_shared<StateText>(state_text(creation.state, status));
  for (const Hook& hook : hooks) {
    auto body = [command = command_of(hook, output), text,
                 host_root](const isolate::ChildContext& context) noexcept {
      return run_in_child(*command, *text, context, host_root ? *host_root : -1);
    };
    steps.push_back(isolate::LaunchPlan::make_step(
        fmt::format("run the {} hook {}", kHookStages.at(static_cast<std::size_t>(stage)), hook.path),
        std::move(body)));
  }
  return {};
}

}  // namespace

Result<void> run_hooks(const Spec& spec, HookStage stage, const std::string& state) {
  const auto& hooks = spec.hooks.of(stage);
  if (hooks.empty()) return {};
  const Output output = TRY(Output::open(spec.wishes));
  for (const Hook& hook : hooks)
    TRY(run_one(hook, output, kHookStages.at(static_cast<std::size_t>(stage)), state));
  return {};
}

void run_hooks_anyway(const Spec& spec, HookStage stage, const std::string& state) {
  const auto& hooks = spec.hooks.of(stage);
  const auto output = hooks.empty() ? Result<Output>(Output()) : Output::open(spec.wishes);
  if (!output) log::warn("{}", output.error().message);
  for (const Hook& hook : hooks) {
    const auto ran =
        run_one(hook, output.value_or(Output()), kHookStages.at(static_cast<std::size_t>(stage)), state);
    if (!ran) log::warn("{}", ran.error().message);
  }
}

Result<void> plan_create_hooks(const Creation& creation, isolate::LaunchPlan& plan) {
  const Hooks& hooks = creation.spec.hooks;
  if (!hooks.of(HookStage::Prestart).empty() || !hooks.of(HookStage::CreateRuntime).empty()) {
    const StateText text = state_text(creation.state, Status::Creating);
    plan.ask("run the prestart and createRuntime hooks",
             [&spec = creation.spec, text](const isolate::ChildAtStep& child) -> Result<void> {
               TRY(run_hooks(spec, HookStage::Prestart, text.with(child.pid)));
               return run_hooks(spec, HookStage::CreateRuntime, text.with(child.pid));
             });
  }
  return add_child_hooks(creation, HookStage::CreateContainer, Status::Creating, plan.host_root, plan.setup);
}

Result<void> plan_start_hooks(const Creation& creation, isolate::LaunchPlan& plan) {
  return add_child_hooks(creation, HookStage::StartContainer, Status::Created, nullptr, plan.last);
}

}  // namespace berth::oci

#include "isolate/launch_plan.hpp"

#include "isolate/child.hpp"
#include "sys/channel.hpp"

namespace berth::isolate {

void LaunchPlan::ask(std::string what, Errand errand) {
  setup.push_back(while_asking(std::move(what), std::move(errand), []() noexcept { return 0; }));
}

std::int32_t LaunchPlan::add_errand(Errand errand) {
  errands.push_back(std::move(errand));
  return static_cast<std::int32_t>(errands.size() - 1);
}

int LaunchPlan::begin_errand(const ChildContext& context, std::int32_t index) noexcept {
  return sys::send_message(context.channel, {static_cast<std::int32_t>(Report::AtErrand), index, 0});
}

int LaunchPlan::end_errand(const ChildContext& context) noexcept {
  sys::ChannelMessage answer;
  return sys::receive_message(context.channel, answer, nullptr);
}

}  // namespace berth::isolate

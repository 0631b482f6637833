#include "isolate/launch_plan.hpp"

#include "isolate/child.hpp"
#include "sys/channel.hpp"

namespace berth::isolate {

void LaunchPlan::ask(std::string what, Errand errand) {
  const auto index = static_cast<std::int32_t>(errands.size());
  errands.push_back(std::move(errand));
  then(std::move(what), [index](const ChildContext& context) noexcept {
    sys::ChannelMessage answer{static_cast<std::int32_t>(Report::AtErrand), index, 0};
    if (const int error = sys::send_message(context.channel, answer); error != 0) return error;
    return sys::receive_message(context.channel, answer, nullptr);
  });
}

}  // namespace berth::isolate

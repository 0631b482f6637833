#include "device/irq/apic_bus.hpp"

namespace berth::device {

void ApicBus::send(const ApicMessage& message, std::uint32_t destination, bool logical) const {
  for (ApicTarget* target : targets_) {
    if (!target->matches(destination, logical)) continue;
    target->deliver(message);
    // Any one will do; the first is as good a choice as a priority that changes meanwhile.
    if (message.delivery == Delivery::LowestPriority) return;
  }
}

void ApicBus::send_all(const ApicMessage& message, const ApicTarget* except) const {
  for (ApicTarget* target : targets_)
    if (target != except) target->deliver(message);
}

void ApicBus::broadcast_eoi(std::uint8_t vector) const {
  if (io_apic_ != nullptr) io_apic_->end_of_interrupt(vector);
}

// SDM vol. 3, 11.11.1 and 11.11.2.
void ApicBus::signal(std::uint64_t address, std::uint32_t data) {
  if (address >> 20 != 0xfee) return;
  const ApicMessage message{.delivery = static_cast<Delivery>(data >> 8 & 7),
                            .vector = static_cast<std::uint8_t>(data),
                            .level = (data >> 15 & 1) != 0};
  send(message, static_cast<std::uint32_t>(address >> 12 & 0xff), (address >> 2 & 1) != 0);
}

}  // namespace berth::device

// What connects local APICs: messages with a destination.
#pragma once

#include <cstdint>
#include <vector>

#include "device/irq/line.hpp"

namespace berth::device {

// As the ICR, redirection entries and MSI data encode it.
enum class Delivery : std::uint8_t {
  Fixed = 0,
  LowestPriority = 1,
  Smi = 2,
  Nmi = 4,
  Init = 5,
  Startup = 6,
  External = 7,
};

struct ApicMessage {
  Delivery delivery = Delivery::Fixed;
  std::uint8_t vector = 0;
  bool level = false;
};

class ApicTarget {
 public:
  virtual ~ApicTarget() = default;
  virtual std::uint32_t id() const = 0;
  virtual bool matches(std::uint32_t destination, bool logical) const = 0;
  virtual void deliver(const ApicMessage& message) = 0;
};

class EoiListener {
 public:
  virtual ~EoiListener() = default;
  virtual void end_of_interrupt(std::uint8_t vector) = 0;
};

// Wired while the machine is built; used from any thread.
class ApicBus final : public MessageSink {
 public:
  void add(ApicTarget& target) { targets_.push_back(&target); }
  void set_io_apic(EoiListener& listener) { io_apic_ = &listener; }

  void send(const ApicMessage& message, std::uint32_t destination, bool logical) const;
  void send_all(const ApicMessage& message, const ApicTarget* except) const;
  void broadcast_eoi(std::uint8_t vector) const;
  // A message as PCI functions send it; others than to the local APICs' window are dropped.
  void signal(std::uint64_t address, std::uint32_t data) override;

 private:
  std::vector<ApicTarget*> targets_;
  EoiListener* io_apic_ = nullptr;
};

}  // namespace berth::device

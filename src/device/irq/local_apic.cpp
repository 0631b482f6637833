#include "device/irq/local_apic.hpp"

#include <bit>

namespace berth::device {
namespace {

constexpr std::uint64_t kBootstrap = 1 << 8;
constexpr std::uint64_t kX2Enable = 1 << 10;
constexpr std::uint64_t kAddress = ~std::uint64_t{0xfff};

// Register numbers: the offset divided by 16, or the MSR less 0x800.
enum Register : std::uint32_t {
  Id = 0x02,
  Version = 0x03,
  Tpr = 0x08,
  Ppr = 0x0a,
  Eoi = 0x0b,
  Ldr = 0x0d,
  Dfr = 0x0e,
  Svr = 0x0f,
  Isr = 0x10,
  Tmr = 0x18,
  Irr = 0x20,
  Esr = 0x28,
  IcrLow = 0x30,
  IcrHigh = 0x31,
  LvtTimer = 0x32,
  LvtThermal = 0x33,
  LvtError = 0x37,
  InitialCount = 0x38,
  CurrentCount = 0x39,
  Divide = 0x3e,
  SelfIpi = 0x3f,
};

constexpr std::uint32_t kVersion = 0x50014;  // six LVT entries
constexpr std::uint32_t kMasked = 1U << 16;
constexpr std::uint32_t kSoftwareEnable = 1U << 8;
constexpr std::uint32_t kFlatModel = 0xffffffff;
constexpr unsigned kLint0 = 2, kError = 4;
// Thermal and performance: vector, mode, mask; LINTs add polarity and trigger; error: vector, mask.
constexpr std::array<std::uint32_t, 5> kLvtWritable{0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff};
constexpr std::uint32_t kSendIllegalVector = 1U << 5, kReceiveIllegalVector = 1U << 6,
                        kIllegalRegister = 1U << 7;

constexpr std::uint32_t kMsrBase = 0x1b, kMsrDeadline = 0x6e0, kMsrFirst = 0x800, kMsrLast = 0x8ff;

std::uint32_t bit(unsigned vector) { return 1U << (vector & 31); }

template <typename Bits>
std::optional<unsigned> highest(const Bits& bits) {
  for (unsigned word = 8; word-- > 0;) {
    const std::uint32_t value = bits[word];
    if (value != 0) return word * 32 + static_cast<unsigned>(std::bit_width(value)) - 1;
  }
  return std::nullopt;
}

}  // namespace

LocalApic::LocalApic(std::uint32_t id, bool bootstrap, ApicBus& bus, ApicOwner& owner, Timers& timers,
                     GuestTsc tsc)
    : id_(id),
      bus_(bus),
      owner_(owner),
      base_msr_(kApicBase | kGlobalEnable | (bootstrap ? kBootstrap : 0)),
      timer_(timers, std::move(tsc), [this](std::uint8_t vector) { deliver({.vector = vector}); }) {
  for (auto& entry : lvt_) entry = kMasked;
  bus_.add(*this);
}

bool LocalApic::x2apic() const { return (base_msr_.load(std::memory_order_relaxed) & kX2Enable) != 0; }
bool LocalApic::memory_mapped() const { return enabled() && !x2apic(); }

void LocalApic::reset() {
  LocalApicState fresh;
  fresh.base_msr = base_msr_;
  fresh.lvt.fill(kMasked);
  restore(fresh);
}

// SDM vol. 3, 11.6.2: physical ids and the two logical models; x2APIC's are fixed by the id.
bool LocalApic::matches(std::uint32_t destination, bool logical) const {
  if (destination == 0xff || destination == 0xffffffff) return true;
  if (!logical) return destination == id_;
  if (x2apic()) return destination >> 16 == id_ >> 4 && (destination & 0xffff & 1U << (id_ & 15)) != 0;
  const std::uint32_t own = ldr_.load(std::memory_order_relaxed) >> 24;
  if (dfr_.load(std::memory_order_relaxed) == kFlatModel) return (destination & own) != 0;
  return destination >> 4 == own >> 4 && (destination & own & 15) != 0;
}

void LocalApic::deliver(const ApicMessage& message) {
  switch (message.delivery) {
    case Delivery::Fixed:
    case Delivery::LowestPriority:
      if (enabled() && (svr_.load(std::memory_order_relaxed) & kSoftwareEnable) != 0)
        post(message.vector, message.level);
      break;
    case Delivery::Nmi:
      owner_.nmi();
      break;
    case Delivery::Init:
      owner_.init();
      break;
    case Delivery::Startup:
      owner_.startup(message.vector);
      break;
    case Delivery::Smi:       // there is no system management mode
    case Delivery::External:  // the PIC's pin arrives by passes_pic()
      break;
  }
}

void LocalApic::post(std::uint8_t vector, bool level) {
  if (vector < 16) return error(kReceiveIllegalVector);
  const unsigned word = vector / 32;
  if (level) {
    tmr_[word].fetch_or(bit(vector), std::memory_order_relaxed);
  } else {
    tmr_[word].fetch_and(~bit(vector), std::memory_order_relaxed);
  }
  const std::uint32_t before = irr_[word].fetch_or(bit(vector), std::memory_order_seq_cst);
  if ((before & bit(vector)) == 0) owner_.wake();
}

std::optional<unsigned> LocalApic::highest_request() const { return highest(irr_); }
std::optional<unsigned> LocalApic::highest_in_service() const { return highest(isr_); }

unsigned LocalApic::processor_priority() const {
  const std::uint32_t tpr = tpr_.load(std::memory_order_relaxed);
  const unsigned in_service = highest_in_service().value_or(0);
  return tpr >> 4 >= in_service >> 4 ? tpr : in_service & 0xf0;
}

bool LocalApic::interrupt_pending() const {
  const auto request = highest_request();
  return request && *request >> 4 > processor_priority() >> 4;
}

std::optional<std::uint8_t> LocalApic::take_interrupt() {
  const auto request = highest_request();
  if (!request || *request >> 4 <= processor_priority() >> 4) return std::nullopt;
  irr_[*request / 32].fetch_and(~bit(*request), std::memory_order_seq_cst);
  isr_[*request / 32] |= bit(*request);
  return static_cast<std::uint8_t>(*request);
}

bool LocalApic::passes_pic() const {
  if (!enabled()) return true;
  const std::uint32_t lint0 = lvt_[kLint0].load(std::memory_order_relaxed);
  return (lint0 & kMasked) == 0 && (lint0 >> 8 & 7) == static_cast<std::uint32_t>(Delivery::External);
}

void LocalApic::write_tpr(std::uint32_t value) {
  tpr_.store(value & 0xff, std::memory_order_relaxed);
  if (interrupt_pending()) owner_.wake();
}

void LocalApic::end_of_interrupt() {
  const auto vector = highest_in_service();
  if (!vector) return;
  isr_[*vector / 32] &= ~bit(*vector);
  if ((tmr_[*vector / 32].load(std::memory_order_relaxed) & bit(*vector)) != 0)
    bus_.broadcast_eoi(static_cast<std::uint8_t>(*vector));
  if (interrupt_pending()) owner_.wake();
}

void LocalApic::write_svr(std::uint32_t value) {
  svr_ = value & 0x1ff;
  if ((value & kSoftwareEnable) != 0) return;
  for (auto& entry : lvt_) entry |= kMasked;
  timer_.mask();
}

void LocalApic::write_lvt(unsigned index, std::uint32_t value) {
  const bool disabled = (svr_ & kSoftwareEnable) == 0;
  lvt_[index] = (value & kLvtWritable[index]) | (disabled ? kMasked : 0);
  if (index == kLint0) owner_.wake();  // the PIC may get through now
}

void LocalApic::error(std::uint32_t bits) {
  pending_esr_ |= bits;
  const std::uint32_t lvt = lvt_[kError];
  if ((lvt & kMasked) == 0 && (lvt & 0xff) >= 16) post(static_cast<std::uint8_t>(lvt), false);
}

// SDM vol. 3, 11.6.1. The destination is in bits 56-63, or 32-63 as x2APIC.
void LocalApic::send_ipi(std::uint64_t icr) {
  const ApicMessage message{.delivery = static_cast<Delivery>(icr >> 8 & 7),
                            .vector = static_cast<std::uint8_t>(icr)};
  const bool fixed = message.delivery == Delivery::Fixed || message.delivery == Delivery::LowestPriority;
  if (fixed && message.vector < 16) return error(kSendIllegalVector);
  const bool deassert = message.delivery == Delivery::Init && (icr >> 14 & 1) == 0;
  if (deassert) return;  // only ever set arbitration ids
  switch (icr >> 18 & 3) {
    case 0: {
      const std::uint64_t destination = x2apic() ? icr >> 32 : icr >> 56;
      bus_.send(message, static_cast<std::uint32_t>(destination), (icr >> 11 & 1) != 0);
      break;
    }
    case 1:
      deliver(message);
      break;
    case 2:
      bus_.send_all(message, nullptr);
      break;
    default:
      bus_.send_all(message, this);
      break;
  }
}

std::uint32_t LocalApic::read_register(std::uint32_t reg) {
  if (reg >= Isr && reg < Isr + 8) return isr_[reg - Isr];
  if (reg >= Tmr && reg < Tmr + 8) return tmr_[reg - Tmr];
  if (reg >= Irr && reg < Irr + 8) return irr_[reg - Irr];
  if (reg >= LvtThermal && reg <= LvtError) return lvt_[reg - LvtThermal];
  switch (reg) {
    case Id:
      return x2apic() ? id_ : id_ << 24;
    case Version:
      return kVersion;
    case Tpr:
      return tpr_;
    case Ppr:
      return processor_priority();
    case Ldr:
      return x2apic() ? (id_ >> 4) << 16 | 1U << (id_ & 15) : ldr_.load();
    case Dfr:
      return dfr_;
    case Svr:
      return svr_;
    case Esr:
      return esr_;
    case IcrLow:
      return static_cast<std::uint32_t>(icr_);
    case IcrHigh:
      return static_cast<std::uint32_t>(icr_ >> 32);
    case LvtTimer:
      return timer_.lvt();
    case InitialCount:
      return timer_.initial_count();
    case CurrentCount:
      return timer_.current_count();
    case Divide:
      return timer_.divide();
    default:
      return 0;
  }
}

// False where there is no such register, or it cannot be written.
bool LocalApic::write_register(std::uint32_t reg, std::uint32_t value) {
  if (reg >= LvtThermal && reg <= LvtError) {
    write_lvt(reg - LvtThermal, value);
    return true;
  }
  switch (reg) {
    case Tpr:
      write_tpr(value);
      return true;
    case Eoi:
      end_of_interrupt();
      return true;
    case Ldr:
      ldr_ = value & 0xff000000;
      return !x2apic();
    case Dfr:
      dfr_ = value | 0x0fffffff;
      return !x2apic();
    case Svr:
      write_svr(value);
      return true;
    case Esr:
      esr_ = pending_esr_.exchange(0);
      return true;
    case IcrLow:
      icr_ = (icr_ & ~std::uint64_t{0xffffffff}) | (value & 0xfffff & ~(1U << 12));
      send_ipi(icr_);
      return true;
    case IcrHigh:
      icr_ = (icr_ & 0xffffffff) | std::uint64_t{value} << 32;
      return !x2apic();
    case LvtTimer:
      timer_.write_lvt(value | ((svr_ & kSoftwareEnable) == 0 ? kMasked : 0));
      return true;
    case InitialCount:
      timer_.write_initial_count(value);
      return true;
    case Divide:
      timer_.write_divide(value);
      return true;
    default:
      return false;
  }
}

std::uint32_t LocalApic::read(std::uint32_t offset) {
  return (offset & 15) == 0 ? read_register(offset >> 4) : 0;
}

void LocalApic::write(std::uint32_t offset, std::uint32_t value) {
  if ((offset & 15) == 0 && !write_register(offset >> 4, value)) error(kIllegalRegister);
}

bool LocalApic::owns_msr(std::uint32_t index) {
  return index == kMsrBase || index == kMsrDeadline || (index >= kMsrFirst && index <= kMsrLast);
}

bool LocalApic::read_msr(std::uint32_t index, std::uint64_t& value) {
  if (index == kMsrBase) {
    value = base_msr_;
    return true;
  }
  if (index == kMsrDeadline) {
    value = timer_.deadline();
    return true;
  }
  const std::uint32_t reg = index - kMsrFirst;
  if (!x2apic() || reg > SelfIpi || reg == Dfr || reg == IcrHigh || reg == Eoi || reg == SelfIpi)
    return false;
  value = reg == IcrLow ? icr_ : read_register(reg);
  return true;
}

bool LocalApic::write_msr(std::uint32_t index, std::uint64_t value) {
  if (index == kMsrBase) return write_base(value);
  if (index == kMsrDeadline) {
    timer_.write_deadline(value);
    return true;
  }
  if (!x2apic()) return false;
  const std::uint32_t reg = index - kMsrFirst;
  if (reg == IcrLow) {
    icr_ = value & ~std::uint64_t{1U << 12};
    send_ipi(icr_);
    return true;
  }
  if (value >> 32 != 0) return false;
  if (reg == SelfIpi) {
    send_ipi((value & 0xff) | 1U << 18);
    return true;
  }
  if ((reg == Eoi || reg == Esr) && value != 0) return false;
  if (reg == Ldr || reg == Dfr || reg == IcrHigh) return false;
  return write_register(reg, static_cast<std::uint32_t>(value));
}

// The modes go off - xAPIC - x2APIC and back through off (SDM vol. 3, 11.12.5); the window stays where it is.
bool LocalApic::write_base(std::uint64_t value) {
  const std::uint64_t before = base_msr_;
  if ((value & kAddress) != kApicBase || (value & 0x2ff) != 0) return false;
  const bool was_on = (before & kGlobalEnable) != 0, was_x2 = (before & kX2Enable) != 0;
  const bool on = (value & kGlobalEnable) != 0, x2 = (value & kX2Enable) != 0;
  if (x2 && !on) return false;
  if (was_x2 && on && !x2) return false;
  if (!was_on && x2) return false;
  if (was_on && !on) reset();
  base_msr_ = (value & ~kBootstrap) | (before & kBootstrap);
  return true;
}

LocalApicState LocalApic::save() const {
  LocalApicState state{.base_msr = base_msr_,
                       .ldr = ldr_,
                       .dfr = dfr_,
                       .svr = svr_,
                       .tpr = tpr_,
                       .esr = esr_,
                       .pending_esr = pending_esr_,
                       .icr = icr_,
                       .isr = isr_,
                       .timer = timer_.save()};
  for (std::size_t i = 0; i < lvt_.size(); ++i) state.lvt[i] = lvt_[i];
  for (std::size_t i = 0; i < irr_.size(); ++i) {
    state.irr[i] = irr_[i];
    state.tmr[i] = tmr_[i];
  }
  return state;
}

void LocalApic::restore(const LocalApicState& state) {
  base_msr_ = state.base_msr;
  ldr_ = state.ldr;
  dfr_ = state.dfr;
  svr_ = state.svr & 0x1ff;
  tpr_ = state.tpr & 0xff;
  esr_ = state.esr;
  pending_esr_ = state.pending_esr;
  icr_ = state.icr;
  isr_ = state.isr;
  for (std::size_t i = 0; i < lvt_.size(); ++i) lvt_[i] = state.lvt[i] & kLvtWritable[i];
  for (std::size_t i = 0; i < irr_.size(); ++i) {
    irr_[i] = state.irr[i];
    tmr_[i] = state.tmr[i];
  }
  timer_.restore(state.timer);
}

}  // namespace berth::device

#include "device/time/pit.hpp"

#include <optional>

namespace berth::device {
namespace {

constexpr std::uint16_t kCounter0 = 0x40, kControl = 0x43, kSpeaker = 0x61;

bool periodic(const PitChannel& channel) { return channel.mode == 2 || channel.mode == 3; }

std::uint32_t from_bcd(std::uint32_t value) {
  return (value & 15) + 10 * (value >> 4 & 15) + 100 * (value >> 8 & 15) + 1000 * (value >> 12 & 15);
}
std::uint32_t to_bcd(std::uint32_t value) {
  return value % 10 | (value / 10 % 10) << 4 | (value / 100 % 10) << 8 | (value / 1000 % 10) << 12;
}

std::uint64_t elapsed(const PitChannel& channel, std::uint64_t now_ns) {
  return channel.loaded && now_ns > channel.start_ns ? ticks_in(now_ns - channel.start_ns, kPitHz) : 0;
}

std::uint16_t count_at(const PitChannel& channel, std::uint64_t now_ns) {
  const std::uint64_t ticks = elapsed(channel, now_ns);
  const std::uint32_t range = channel.bcd ? 10000 : 0x10000;
  std::uint64_t count = 0;
  if (channel.mode == 3) {  // two a tick, so twice around in a period
    count = (channel.reload - 2 * ticks % channel.reload) & ~std::uint64_t{1};
  } else if (channel.mode == 2) {
    count = channel.reload - ticks % channel.reload;
  } else {  // goes on past zero
    count = (channel.reload + range - ticks % range) % range;
  }
  count %= range;
  return static_cast<std::uint16_t>(channel.bcd ? to_bcd(static_cast<std::uint32_t>(count)) : count);
}

bool output_at(const PitChannel& channel, std::uint64_t now_ns) {
  const std::uint64_t ticks = elapsed(channel, now_ns);
  switch (channel.mode) {
    case 0:
    case 1:
      return channel.loaded && ticks >= channel.reload;
    case 2:
      return !channel.loaded || ticks % channel.reload != channel.reload - 1;
    case 3:
      return !channel.loaded || ticks % channel.reload < (channel.reload + 1) / 2;
    default:
      return !channel.loaded || ticks != channel.reload;
  }
}

}  // namespace

Pit::Pit(Timers& timers, InterruptLine line)
    : timers_(timers), line_(line), timer_(timers.make([this] { expired(); })) {
  state_.channels[2].gate = false;
}

void Pit::attach(PortBus& bus) {
  bus.attach(kCounter0, 4, *this);
  bus.attach(kSpeaker, 1, *this);
}

// Arms the timer for channel 0's next rising edge.
void Pit::schedule() {
  const PitChannel& channel = state_.channels[0];
  if (!channel.loaded) return timer_->disarm();
  const std::uint64_t ticks = elapsed(channel, timers_.now_ns());
  std::uint64_t edge = channel.reload;
  if (periodic(channel)) {
    edge = (ticks / channel.reload + 1) * channel.reload;
  } else if (ticks >= channel.reload) {
    return timer_->disarm();
  }
  timer_->arm(channel.start_ns + ns_of(edge, kPitHz));
}

void Pit::expired() {
  const std::lock_guard lock(mutex_);
  const PitChannel& channel = state_.channels[0];
  if (!channel.loaded) return;
  // An old deadline that a new count has overtaken.
  if (elapsed(channel, timers_.now_ns()) < channel.reload) return schedule();
  if (periodic(channel)) {
    line_.pulse();
    schedule();
  } else {
    line_.set(true);
  }
}

void Pit::latch_count(PitChannel& channel) const {
  if (channel.latched_bytes > 0) return;
  channel.latched = count_at(channel, timers_.now_ns());
  channel.latched_bytes = channel.access == 3 ? 2 : 1;
}

std::uint8_t Pit::read_counter(PitChannel& channel) const {
  if (channel.status_latched) {
    channel.status_latched = false;
    return channel.status;
  }
  const bool latched = channel.latched_bytes > 0;
  const std::uint16_t count = latched ? channel.latched : count_at(channel, timers_.now_ns());
  if (latched) --channel.latched_bytes;
  const bool high = channel.access == 2 || (channel.access == 3 && channel.second_byte_read);
  if (channel.access == 3) channel.second_byte_read = !channel.second_byte_read;
  return static_cast<std::uint8_t>(high ? count >> 8 : count);
}

void Pit::write_counter(unsigned index, std::uint8_t value) {
  PitChannel& channel = state_.channels[index];
  std::uint32_t count = value;
  if (channel.access == 2) count = std::uint32_t{value} << 8;
  if (channel.access == 3) {
    channel.second_byte_write = !channel.second_byte_write;
    if (channel.second_byte_write) {
      channel.low_byte = value;
      return;
    }
    count = static_cast<std::uint32_t>(value << 8 | channel.low_byte);
  }
  if (channel.bcd) count = from_bcd(count);
  if (count == 0) count = channel.bcd ? 10000 : 0x10000;
  channel.reload = count < 2 && periodic(channel) ? 2 : count;
  channel.start_ns = timers_.now_ns();
  channel.loaded = channel.gate || channel.mode == 0 || channel.mode == 4;
  if (index != 0) return;
  line_.set(output_at(channel, channel.start_ns));
  schedule();
}

void Pit::write_control(std::uint8_t value) {
  const unsigned index = value >> 6;
  if (index == 3) {  // read-back
    for (unsigned i = 0; i < 3; ++i) {
      if ((value >> (i + 1) & 1) == 0) continue;
      PitChannel& channel = state_.channels[i];
      if ((value & 0x20) == 0) latch_count(channel);
      if ((value & 0x10) == 0 && !channel.status_latched) {
        channel.status_latched = true;
        channel.status = static_cast<std::uint8_t>((output_at(channel, timers_.now_ns()) ? 0x80 : 0) |
                                                   (channel.loaded ? 0 : 0x40) | channel.access << 4 |
                                                   channel.mode << 1 | (channel.bcd ? 1 : 0));
      }
    }
    return;
  }
  PitChannel& channel = state_.channels[index];
  const std::uint8_t access = value >> 4 & 3;
  if (access == 0) return latch_count(channel);
  const std::uint8_t mode = value >> 1 & 7;
  channel = PitChannel{.access = access,
                       .mode = static_cast<std::uint8_t>(mode > 5 ? mode - 4 : mode),
                       .bcd = (value & 1) != 0,
                       .gate = channel.gate};
  if (index == 0) {
    timer_->disarm();
    line_.set(channel.mode != 0);
  }
}

void Pit::set_gate(bool gate) {
  PitChannel& channel = state_.channels[2];
  const bool rises = gate && !channel.gate;
  channel.gate = gate;
  if (rises && channel.mode != 0 && channel.mode != 4) {  // a trigger
    channel.start_ns = timers_.now_ns();
    channel.loaded = true;
  }
}

std::uint8_t Pit::read_byte(std::uint16_t port) {
  const std::lock_guard lock(mutex_);
  if (port == kControl) return 0xff;
  if (port != kSpeaker) return read_counter(state_.channels[port - kCounter0]);
  const std::uint64_t now = timers_.now_ns();
  const PitChannel& channel = state_.channels[2];
  const unsigned refresh = now / 15'085 & 1;  // the DRAM refresh toggle, which old code counts for delays
  return static_cast<std::uint8_t>((channel.gate ? 1 : 0) | (state_.speaker ? 2 : 0) | refresh << 4 |
                                   (output_at(channel, now) ? 0x20 : 0));
}

void Pit::write_byte(std::uint16_t port, std::uint8_t value) {
  const std::lock_guard lock(mutex_);
  if (port == kControl) {
    write_control(value);
  } else if (port == kSpeaker) {
    set_gate((value & 1) != 0);
    state_.speaker = (value & 2) != 0;
  } else {
    write_counter(port - kCounter0, value);
  }
}

PitState Pit::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Pit::restore(const PitState& state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  schedule();
}

}  // namespace berth::device

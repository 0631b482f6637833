#include "device/legacy/rtc.hpp"

#include <ctime>

namespace berth::device {
namespace {

// Registers, as the data sheet numbers them.
constexpr std::uint8_t kSeconds = 0, kMinutes = 2, kHours = 4, kWeekday = 6, kDay = 7, kMonth = 8, kYear = 9;
constexpr std::uint8_t kStatusA = 0x0a, kStatusB = 0x0b, kStatusC = 0x0c, kStatusD = 0x0d;
constexpr std::uint8_t kCentury = 0x32;
constexpr std::uint8_t kBinary = 0x04, k24Hours = 0x02;  // of status B
constexpr std::uint8_t kPm = 0x80;                       // of the hour on a 12-hour clock

bool is_time(std::uint8_t reg) {
  return reg == kSeconds || reg == kMinutes || reg == kHours || (reg >= kWeekday && reg <= kYear) ||
         reg == kCentury;
}

}  // namespace

Rtc::Rtc(std::function<std::int64_t()> now) : now_(std::move(now)) {
  state_.cmos[kStatusA] = 0x26;  // 32,768 Hz, divided by 64
  state_.cmos[kStatusB] = k24Hours;
  state_.cmos[kStatusD] = 0x80;  // the battery is good
}

std::uint8_t Rtc::encode(unsigned value) const {
  if ((state_.cmos[kStatusB] & kBinary) != 0) return static_cast<std::uint8_t>(value);
  return static_cast<std::uint8_t>(value / 10 % 10 << 4 | value % 10);
}

unsigned Rtc::decode(std::uint8_t value) const {
  if ((state_.cmos[kStatusB] & kBinary) != 0) return value;
  return 10U * (value >> 4) + (value & 15U);
}

std::uint8_t Rtc::read_time(std::uint8_t reg) const {
  const std::time_t seconds = now_() + state_.offset_s;
  std::tm time{};
  ::gmtime_r(&seconds, &time);
  const auto part = [&](int value) { return encode(static_cast<unsigned>(value)); };
  switch (reg) {
    case kSeconds:
      return part(time.tm_sec);
    case kMinutes:
      return part(time.tm_min);
    case kHours: {
      if ((state_.cmos[kStatusB] & k24Hours) != 0) return part(time.tm_hour);
      const int hour = time.tm_hour % 12 == 0 ? 12 : time.tm_hour % 12;
      return static_cast<std::uint8_t>(part(hour) | (time.tm_hour >= 12 ? kPm : 0));
    }
    case kWeekday:
      return part(time.tm_wday + 1);
    case kDay:
      return part(time.tm_mday);
    case kMonth:
      return part(time.tm_mon + 1);
    case kYear:
      return part(time.tm_year % 100);
    default:
      return part((time.tm_year + 1900) / 100);
  }
}

// The guest sets one field; its clock then differs from the host's by a constant.
void Rtc::write_time(std::uint8_t reg, std::uint8_t value) {
  const std::time_t before = now_() + state_.offset_s;
  std::tm time{};
  ::gmtime_r(&before, &time);
  const int number = static_cast<int>(decode(reg == kHours ? value & 0x7f : value));
  switch (reg) {
    case kSeconds:
      time.tm_sec = number;
      break;
    case kMinutes:
      time.tm_min = number;
      break;
    case kHours:
      time.tm_hour = number;
      if ((state_.cmos[kStatusB] & k24Hours) == 0) time.tm_hour = number % 12 + ((value & kPm) != 0 ? 12 : 0);
      break;
    case kDay:
      time.tm_mday = number;
      break;
    case kMonth:
      time.tm_mon = number - 1;
      break;
    case kYear:
      time.tm_year = (time.tm_year + 1900) / 100 * 100 + number - 1900;
      break;
    case kCentury:
      time.tm_year = number * 100 + (time.tm_year + 1900) % 100 - 1900;
      break;
    default:
      return;  // the day of the week follows from the date
  }
  const std::time_t after = ::timegm(&time);
  state_.offset_s += after - before;
}

std::uint8_t Rtc::read_byte(std::uint16_t port) {
  const std::lock_guard lock(mutex_);
  if (port == kIndex) return 0xff;  // write-only
  const std::uint8_t reg = state_.index;
  if (is_time(reg)) return read_time(reg);
  return reg == kStatusC ? 0 : state_.cmos[reg];
}

void Rtc::write_byte(std::uint16_t port, std::uint8_t value) {
  const std::lock_guard lock(mutex_);
  if (port == kIndex) {
    state_.index = value & 0x7f;  // bit 7 masks NMI, of which the board has none
  } else if (is_time(state_.index)) {
    write_time(state_.index, value);
  } else if (state_.index == kStatusA || state_.index == kStatusB) {
    state_.cmos[state_.index] = value & 0x7f;
  } else if (state_.index != kStatusC && state_.index != kStatusD) {
    state_.cmos[state_.index] = value;
  }
}

RtcState Rtc::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void Rtc::restore(const RtcState& state) {
  const std::lock_guard lock(mutex_);
  state_ = state;
  state_.index &= 0x7f;
}

}  // namespace berth::device

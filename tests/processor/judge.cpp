#include "judge.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "x86/bits.hpp"
#include "x86/exception.hpp"

namespace berth::judge {
namespace {

using x86::Vector;

constexpr std::chrono::milliseconds kLook{20};
// Not NT, which Linux does not keep over an interrupt.
constexpr std::uint64_t kSystemFlags = x86::rflags::kTf | x86::rflags::kIf | x86::rflags::kDf |
                                       x86::rflags::kIopl | x86::rflags::kAc | x86::rflags::kId;

constexpr bool is(const Outcome& outcome, Vector vector) {
  return outcome.vector == static_cast<unsigned>(vector);
}

// Whether the host may run it: all that it touched lies in the zone, or in the kernel's half, which no user
// may touch.
bool stays_inside(const Outcome& outcome) {
  const bool traps = is(outcome, Vector::Pf) && !is_in_zone(outcome.cr2) && outcome.cr2 >> 63 == 0;
  return !traps && is_in_zone(outcome.end.rip);
}

// The arithmetic flags that count where it ended; nothing where that is no instruction of the case.
std::uint64_t defined_flags(const Case& what, const Outcome& outcome) {
  const std::uint64_t rip = is(outcome, Vector::Bp) ? outcome.end.rip - 1 : outcome.end.rip;
  const auto step =
      std::find_if(what.steps.begin(), what.steps.end(), [rip](const Step& s) { return s.rip == rip; });
  return step != what.steps.end() ? step->flags : 0;
}

bool faults_alike(const Case& what, const Outcome& outcome) {
  if (is(outcome, Vector::Bp) || is(outcome, Vector::Db)) return true;
  const auto step = std::find_if(what.steps.begin(), what.steps.end(),
                                 [&](const Step& s) { return s.rip == outcome.end.rip; });
  return step == what.steps.end() || step->faults_alike;
}

struct Part {
  const char* name;
  std::size_t offset, bytes;
};

std::string compare_xsave(const std::byte* expected, const std::byte* found) {
  std::string text;
  const auto look = [&](const Part& part, unsigned number) {
    if (std::memcmp(expected + part.offset, found + part.offset, part.bytes) == 0) return;
    text += fmt::format("{}{}: ", part.name, number);
    for (const std::byte* from : {expected, found}) {
      for (std::size_t i = part.bytes; i-- > 0;)
        text += fmt::format("{:02x}", static_cast<unsigned>(from[part.offset + i]));
      text += from == expected ? " and not " : "\n";
    }
  };
  look({"fcw", 0, 2}, 0);
  look({"fsw", 2, 2}, 0);
  look({"ftw", 4, 1}, 0);
  look({"mxcsr", 24, 4}, 0);
  for (unsigned i = 0; i < 8; ++i) look({"st", 32 + i * 16u, 10}, i);
  for (unsigned i = 0; i < 16; ++i) look({"xmm", 160 + i * 16u, 16}, i);
  for (unsigned i = 0; i < 16; ++i) look({"upper", 576 + i * 16u, 16}, i);
  return text;
}

std::string compare_number(const char* name, std::uint64_t expected, std::uint64_t found) {
  return expected == found ? "" : fmt::format("{}: {:x} and not {:x}\n", name, expected, found);
}

}  // namespace

Result<std::unique_ptr<Judge>> Judge::create() {
  std::unique_ptr<Judge> made(new Judge);
  made->host_ = TRY(HostProcessor::create());
  made->interpreter_ = TRY(GuestProcessor::create(engine::soft::Tiers::Interpreter));
  made->translator_ = TRY(GuestProcessor::create(engine::soft::Tiers::EagerTranslator));
  made->watchdog_ = std::jthread([judge = made.get()](const std::stop_token& stop) { judge->watch(stop); });
  return made;
}

// Ends what is seen to run on at two looks.
void Judge::watch(const std::stop_token& stop) {
  for (std::uint64_t seen = 0; !stop.stop_requested();) {
    std::this_thread::sleep_for(kLook);
    GuestProcessor* const guest = running_;
    const std::uint64_t number = runs_;
    if (guest != nullptr && number == seen) guest->kick();
    seen = number;
  }
}

bool Judge::run_guest(GuestProcessor& guest, const Case& what, Outcome& outcome) {
  ++runs_;
  running_ = &guest;
  const bool ended = guest.run(what, outcome);
  running_ = nullptr;
  return ended;
}

Judge::Verdict Judge::run(const Case& what) {
  difference_.clear();
  const bool ended =
      run_guest(*interpreter_, what, interpreted_) && run_guest(*translator_, what, translated_);
  if (!ended || !stays_inside(interpreted_) || !stays_inside(translated_)) return Verdict::NotTried;
  host_->run(what, host_outcome_);
  if (!faults_alike(what, host_outcome_) || !faults_alike(what, interpreted_)) return Verdict::NotTried;
  compare(what, interpreted_, false);
  compare(what, translated_, true);
  return difference_.empty() ? Verdict::Agreed : Verdict::Disagreed;
}

void Judge::compare(const Case& what, const Outcome& found, bool is_translated) {
  const Outcome& host = host_outcome_;
  std::string text = compare_number("vector", host.vector, found.vector);
  text += compare_number("rip", host.end.rip, found.end.rip);
  for (std::size_t i = 0; i < host.end.gpr.size(); ++i)
    text += compare_number(fmt::format("r{}", i).c_str(), host.end.gpr[i], found.end.gpr[i]);
  // A fault's frame may have stale arithmetic flags in translated code (docs/decisions/0011).
  const bool is_trap = is(host, Vector::Bp) || is(host, Vector::Db);
  const std::uint64_t flags = kSystemFlags | (is_translated && !is_trap ? 0 : defined_flags(what, host));
  text += compare_number("flags", host.end.rflags & flags, found.end.rflags & flags);
  text += compare_xsave(host.end.xsave.data(), found.end.xsave.data());
  if (is(host, Vector::Gp)) text += compare_number("error", host.error, found.error);
  if (is(host, Vector::Pf)) {
    text += compare_number("cr2", host.cr2, found.cr2);
    if (is_in_zone(host.cr2)) text += compare_number("error", host.error, found.error);
  }
  const auto [differs, other] = std::mismatch(host.data.begin(), host.data.end(), found.data.begin());
  if (differs != host.data.end()) {
    text += compare_number(
        fmt::format("memory at {:x}", kData + static_cast<std::uint64_t>(differs - host.data.begin()))
            .c_str(),
        static_cast<std::uint64_t>(*differs), static_cast<std::uint64_t>(*other));
  }
  if (!text.empty())
    difference_ +=
        fmt::format("{}: the processor has\n{}", is_translated ? "translator" : "interpreter", text);
}

}  // namespace berth::judge

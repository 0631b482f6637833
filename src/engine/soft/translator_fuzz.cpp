// The translator against the interpreter: a program, registers and data from the input, run by both, have to
// end alike. What loops on is not compared.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <thread>

#include "engine/soft/machine_fixture.hpp"
#include "engine/soft/soft_vcpu.hpp"
#include "x86/bits.hpp"

namespace {

using namespace berth;
using namespace berth::engine;
using namespace berth::engine::soft;

constexpr std::uint64_t kCode = 0x8000, kTables = 0x10000, kDataAt = 0x20000, kMemory = 0x30000;
constexpr std::size_t kMostCode = 512, kDataBytes = 2048;

// One processor with its own memory, whose first 192 KiB are mapped where they are.
class Side {
 public:
  explicit Side(Tiers tiers) : memory_(*guest::GuestMemory::create(2 << 20)) {
    engine_ = std::move(*make_soft_vcpu(memory_, machine_, tiers));
  }

  void set(const x86::CpuState& state, std::span<const std::uint8_t> code,
           std::span<const std::uint8_t> data) {
    const std::span<std::byte> all = memory_.at(guest::Gpa{0}, kMemory);
    std::memset(all.data(), 0xf4, kTables);
    std::memset(all.data() + kTables, 0, kMemory - kTables);
    std::memcpy(all.data() + kCode, code.data(), code.size());
    for (std::size_t i = 0; i < kDataBytes && !data.empty(); ++i)
      all[kDataAt + i] = static_cast<std::byte>(data[i % data.size()] + i / data.size());
    constexpr std::uint64_t kPresent = 7;  // for reading and writing, by anyone
    put(kTables, (kTables + 0x1000) | kPresent);
    put(kTables + 0x1000, (kTables + 0x2000) | kPresent);
    put(kTables + 0x2000, (kTables + 0x3000) | kPresent);
    for (std::uint64_t page = 0; page < kMemory >> 12; ++page)
      put(kTables + 0x3000 + page * 8, page << 12 | kPresent);
    engine_->guest_memory_written(guest::Gpa{0}, kMemory);
    engine_->state() = state;
    engine_->state_changed();
  }
  VmExit run() { return *engine_->run(); }
  void kick() { engine_->kick(); }
  x86::CpuState& state() { return engine_->state(); }
  std::span<std::byte> data() { return memory_.at(guest::Gpa{kDataAt}, kMemory - kDataAt); }

 private:
  void put(std::uint64_t address, std::uint64_t value) {
    std::memcpy(memory_.at(guest::Gpa{address}, sizeof value).data(), &value, sizeof value);
  }

  EmptyMachine machine_;
  guest::GuestMemory memory_;
  std::unique_ptr<VcpuEngine> engine_;
};

x86::CpuState make_state(std::span<const std::uint8_t> bytes) {
  x86::CpuState state = x86::power_on_state();
  const auto byte = [bytes](std::size_t i) { return std::uint64_t{bytes[i % bytes.size()]}; };
  for (std::size_t i = 0; i < state.gpr.size(); ++i) {
    // A small number, or an address among the data.
    state.gpr[i] = byte(i) < 64 ? byte(i) : kDataAt + 1024 + byte(i) * 8 + byte(i + 1) % 8;
  }
  state.gpr[static_cast<std::size_t>(x86::Gpr::Rsp)] = kDataAt + 0x4000;
  state.rip = kCode;
  state.rflags = (byte(16) | byte(17) << 8) & x86::rflags::kArithmetic;
  state.rflags |= x86::rflags::kOne;
  state.cr0 = x86::cr0::kPe | x86::cr0::kPg | x86::cr0::kMp | x86::cr0::kNe;
  state.cr3 = kTables;
  state.cr4 = x86::cr4::kPae | x86::cr4::kOsfxsr | x86::cr4::kOsxmmexcpt | x86::cr4::kOsxsave;
  state.xcr0 = 7;
  state.efer = x86::efer::kLme | x86::efer::kLma;
  state.idtr.limit = 0;  // any fault ends the program
  state.segment(x86::SegmentName::Cs).attributes = 0xa9b;
  return state;
}

// RDTSC, RDTSCP, RDRAND, RDSEED and RDPMC give something else each time.
bool tells_times_apart(std::span<const std::uint8_t> code) {
  for (std::size_t i = 0; i + 1 < code.size(); ++i) {
    if (code[i] == 0x0f && (code[i + 1] == 0x31 || code[i + 1] == 0xc7 || code[i + 1] == 0x01)) return true;
  }
  return false;
}

// Ends what loops on: a run that is seen to go on at two looks.
class Watchdog {
 public:
  VmExit run(Side& side) {
    ++number_;
    running_ = &side;
    const VmExit exit = side.run();
    running_ = nullptr;
    return exit;
  }

 private:
  static constexpr std::chrono::milliseconds kLook{10};

  void watch(const std::stop_token& stop) {
    for (std::uint64_t seen = 0; !stop.stop_requested();) {
      std::this_thread::sleep_for(kLook);
      Side* const side = running_;
      const std::uint64_t number = number_;
      if (side != nullptr && number == seen) side->kick();
      seen = number;
    }
  }

  std::atomic<Side*> running_{nullptr};
  std::atomic<std::uint64_t> number_{0};
  std::jthread thread_{[this](const std::stop_token& stop) { watch(stop); }};
};

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kStateBytes = 18;
  static Side* const interpreter = new Side(Tiers::Interpreter);
  static Side* const translator = new Side(Tiers::EagerTranslator);
  static auto* const watchdog = new Watchdog;
  if (size < kStateBytes + 1) return 0;
  const std::span<const std::uint8_t> bytes(data, size);
  const auto code = bytes.subspan(kStateBytes, std::min(kMostCode, size - kStateBytes));
  if (tells_times_apart(code)) return 0;
  const x86::CpuState state = make_state(bytes.first(kStateBytes));
  interpreter->set(state, code, bytes);
  translator->set(state, code, bytes);
  const VmExit expected = watchdog->run(*interpreter), found = watchdog->run(*translator);
  const std::size_t interruption = VmExit(Interrupted{}).index(), halt = VmExit(Halt{}).index();
  if (expected.index() == interruption || found.index() == interruption) return 0;
  require(expected.index() == found.index());
  require(interpreter->state().gpr == translator->state().gpr);
  require(interpreter->state().rip == translator->state().rip);
  require(interpreter->state().xsave == translator->state().xsave);
  require(std::memcmp(interpreter->data().data(), translator->data().data(), kMemory - kDataAt) == 0);
  // A fault may have stale arithmetic flags (docs/decisions/0011).
  if (expected.index() == halt) require(interpreter->state().rflags == translator->state().rflags);
  return 0;
}

#include "guest_processor.hpp"

#include <cstring>

#include "engine/soft/soft_vcpu.hpp"
#include "x86/bits.hpp"
#include "x86/exception.hpp"

namespace berth::judge {
namespace {

// Physical; the kernel's half of the addresses has the first 2 MiB once more, for the kernel alone.
constexpr std::uint64_t kIdt = 0x1000, kGdt = 0x2000, kTss = 0x2100, kHandlers = 0x3000, kStackTop = 0x5000;
constexpr std::uint64_t kTables = 0x10000, kCodePage = 0x20000, kDataPages = 0x30000, kMemory = 2 << 20;
constexpr std::uint64_t kKernel = 0xffff800000000000;
constexpr std::uint64_t kVectors = 32, kHandlerBytes = 16;
constexpr std::uint64_t kPresent = 1, kWrite = 2, kUser = 4, kLarge = 0x80,
                        kNoExecute = std::uint64_t{1} << 63;

}  // namespace

Result<std::unique_ptr<GuestProcessor>> GuestProcessor::create(engine::soft::Tiers tiers) {
  std::unique_ptr<GuestProcessor> made(new GuestProcessor(TRY(guest::GuestMemory::create(kMemory))));
  made->engine_ = TRY(engine::soft::make_soft_vcpu(made->memory_, made->machine_, tiers));
  made->make_kernel();
  made->make_tables();
  return made;
}

void GuestProcessor::put(std::uint64_t address, std::uint64_t value) {
  std::memcpy(memory_.at(guest::Gpa{address}, sizeof value).data(), &value, sizeof value);
}

std::uint64_t GuestProcessor::get(std::uint64_t address) const {
  std::uint64_t value = 0;
  std::memcpy(&value, memory_.at(guest::Gpa{address}, sizeof value).data(), sizeof value);
  return value;
}

void GuestProcessor::make_kernel() {
  put(kGdt + 8, 0x00af9b000000ffff);  // 64-bit code of ring 0
  const std::uint64_t rsp0 = kKernel + kStackTop;
  std::memcpy(memory_.at(guest::Gpa{kTss + 4}, sizeof rsp0).data(), &rsp0, sizeof rsp0);
  constexpr std::uint16_t kNoPorts = 0x68;
  std::memcpy(memory_.at(guest::Gpa{kTss + 102}, sizeof kNoPorts).data(), &kNoPorts, sizeof kNoPorts);
  for (std::uint64_t vector = 0; vector < kVectors; ++vector) {
    const std::uint64_t handler = kKernel + kHandlers + vector * kHandlerBytes;
    constexpr std::uint64_t kGate =
        0xeeull << 40 | 8 << 16;  // an interrupt gate for ring 3, to the code segment
    put(kIdt + vector * 16, (handler & 0xffff) | kGate | (handler >> 16 & 0xffff) << 48);
    put(kIdt + vector * 16 + 8, handler >> 32);
    put(kHandlers + vector * kHandlerBytes, 0xf4);  // HLT
  }
}

void GuestProcessor::make_tables() {
  constexpr std::uint64_t kTable = kPresent | kWrite | kUser;
  const std::uint64_t user = kTables + 0x1000, directory = user + 0x1000, code = directory + 0x1000,
                      data = code + 0x1000, kernel = data + 0x1000, large = kernel + 0x1000;
  put(kTables, user | kTable);
  put(kTables + (kKernel >> 39 & 511) * 8, kernel | kTable);
  put(user, directory | kTable);
  put(directory + (kCode >> 21) * 8, code | kTable);
  put(directory + (kData >> 21) * 8, data | kTable);
  put(code, kCodePage | kPresent | kUser);
  put(data, kDataPages | kTable | kNoExecute);
  put(data + 8, (kDataPages + kPage) | kTable | kNoExecute);
  put(data + 16, (kDataPages + 2 * kPage) | kPresent | kUser | kNoExecute);
  put(kernel, large | kTable);
  put(large, kPresent | kWrite | kLarge);
}

x86::CpuState GuestProcessor::state_of(const Registers& start) const {
  x86::CpuState state = x86::power_on_state();
  state.gpr = start.gpr;
  state.rip = start.rip;
  state.rflags = start.rflags;
  state.xsave = start.xsave;
  state.cr0 = x86::cr0::kPe | x86::cr0::kPg | x86::cr0::kMp | x86::cr0::kNe | x86::cr0::kWp | x86::cr0::kAm;
  state.cr3 = kTables;
  state.cr4 = x86::cr4::kPae | x86::cr4::kOsfxsr | x86::cr4::kOsxmmexcpt | x86::cr4::kOsxsave;
  state.xcr0 = 7;
  state.efer = x86::efer::kLme | x86::efer::kLma | x86::efer::kNxe;
  state.gdtr = {.base = kKernel + kGdt, .limit = 15};
  state.idtr = {.base = kKernel + kIdt, .limit = kVectors * 16 - 1};
  state.tr = {.base = kKernel + kTss, .limit = 0x67, .selector = 0x40, .attributes = 0x8b};
  for (x86::Segment& segment : state.segments)
    segment = {.base = 0, .limit = 0, .selector = 0, .attributes = 0};
  state.segment(x86::SegmentName::Cs) = {
      .base = 0, .limit = 0xffffffff, .selector = kUserCode, .attributes = 0xafb};
  state.segment(x86::SegmentName::Ss) = {
      .base = 0, .limit = 0xffffffff, .selector = kUserStack, .attributes = 0xcf3};
  return state;
}

bool GuestProcessor::run(const Case& what, Outcome& outcome) {
  const auto code = memory_.at(guest::Gpa{kCodePage}, kPage),
             data = memory_.at(guest::Gpa{kDataPages}, kDataBytes);
  std::memset(code.data(), 0xcc, kPage);
  std::memcpy(code.data() + (kEntry - kCode), what.code.data(), what.code.size());
  std::memcpy(data.data(), what.data.data(), kDataBytes);
  engine_->guest_memory_written(guest::Gpa{kCodePage}, kPage);
  engine_->guest_memory_written(guest::Gpa{kDataPages}, kDataBytes);
  engine_->state() = state_of(what.start);
  engine_->state_changed();
  const auto exit = engine_->run();
  if (!exit || !std::holds_alternative<engine::Halt>(*exit)) return false;
  const x86::CpuState& state = engine_->state();
  const std::uint64_t handler = state.rip - (kKernel + kHandlers);
  if (handler >= kVectors * kHandlerBytes) return false;
  outcome.vector = static_cast<unsigned>(handler / kHandlerBytes);
  outcome.end.gpr = state.gpr;
  outcome.end.gpr[static_cast<std::size_t>(x86::Gpr::Rsp)] = get(kStackTop - 16);
  outcome.end.rip = get(kStackTop - 40);
  outcome.end.rflags = get(kStackTop - 24);
  outcome.end.xsave = state.xsave;
  outcome.error = x86::pushes_error_code(static_cast<x86::Vector>(outcome.vector)) ? get(kStackTop - 48) : 0;
  outcome.cr2 = state.cr2;
  std::memcpy(outcome.data.data(), data.data(), kDataBytes);
  return true;
}

}  // namespace berth::judge

#include "host_processor.hpp"

#include <fmt/core.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>

namespace berth::judge {
namespace {

constexpr std::size_t kStackBytes = 1 << 17;
constexpr auto kSignals = std::to_array<int>({SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP});
// In the order of x86::Gpr.
constexpr auto kNames =
    std::to_array<int>({REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8,
                        REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15});
constexpr std::size_t kSoftwareBytes = 464, kHeader = 512, kUpperHalves = 576;

// What the handler and run() hand each other.
struct Passage {
  bool inside = false;
  const Registers* start = nullptr;
  Outcome* outcome = nullptr;
  gregset_t home{};
  std::array<std::byte, x86::kXsaveBytes> home_xsave{};
};
Passage passage;

std::uint64_t unsigned_of(greg_t value) { return static_cast<std::uint64_t>(value); }

// The kernel's own words between the legacy area and the header stay.
void put_xsave(std::byte* frame, const std::byte* from) {
  std::uint64_t in_use = 0;
  std::memcpy(frame, from, kSoftwareBytes);
  std::memcpy(&in_use, frame + kHeader, sizeof in_use);
  in_use |= 7;
  std::memcpy(frame + kHeader, &in_use, sizeof in_use);
  std::memcpy(frame + kUpperHalves, from + kUpperHalves, 256);
}

// Components that are as after a reset may be left out of a frame.
void take_xsave(const std::byte* frame, std::byte* to) {
  std::uint64_t in_use = 0;
  std::memcpy(&in_use, frame + kHeader, sizeof in_use);
  std::memcpy(to, frame, kHeader);
  if ((in_use & 1) == 0) {
    constexpr std::uint16_t kControl = 0x37f;
    std::memset(to, 0, 24);
    std::memset(to + 32, 0, 128);
    std::memcpy(to, &kControl, sizeof kControl);
  }
  if ((in_use & 2) == 0) std::memset(to + 160, 0, 256);
  std::memset(to + kUpperHalves, 0, 256);
  if ((in_use & 4) != 0) std::memcpy(to + kUpperHalves, frame + kUpperHalves, 256);
}

void enter(ucontext_t& context, std::byte* frame) {
  greg_t* const gregs = context.uc_mcontext.gregs;
  std::memcpy(passage.home, gregs, sizeof passage.home);
  take_xsave(frame, passage.home_xsave.data());
  const Registers& start = *passage.start;
  for (std::size_t i = 0; i < kNames.size(); ++i) gregs[kNames[i]] = static_cast<greg_t>(start.gpr[i]);
  gregs[REG_RIP] = static_cast<greg_t>(start.rip);
  gregs[REG_EFL] = static_cast<greg_t>(start.rflags);
  put_xsave(frame, start.xsave.data());
  passage.inside = true;
}

void leave(ucontext_t& context, std::byte* frame) {
  greg_t* const gregs = context.uc_mcontext.gregs;
  Outcome& outcome = *passage.outcome;
  for (std::size_t i = 0; i < kNames.size(); ++i) outcome.end.gpr[i] = unsigned_of(gregs[kNames[i]]);
  outcome.end.rip = unsigned_of(gregs[REG_RIP]);
  outcome.end.rflags = unsigned_of(gregs[REG_EFL]);
  outcome.vector = static_cast<unsigned>(gregs[REG_TRAPNO]);
  outcome.error = unsigned_of(gregs[REG_ERR]);
  outcome.cr2 = unsigned_of(gregs[REG_CR2]);
  take_xsave(frame, outcome.end.xsave.data());
  for (const int name : kNames) gregs[name] = passage.home[name];
  gregs[REG_RIP] = passage.home[REG_RIP] + 2;  // behind run()'s UD2
  gregs[REG_EFL] = passage.home[REG_EFL];
  put_xsave(frame, passage.home_xsave.data());
  passage.inside = false;
}

}  // namespace

extern "C" {

void berth_judge_on_signal(int, siginfo_t*, void*);

// Signals that come otherwise are true ones: the second time they end the process.
[[gnu::used]] void berth_judge_handle(int number, siginfo_t*, void* raw) {
  auto& context = *static_cast<ucontext_t*>(raw);
  auto* const frame = reinterpret_cast<std::byte*>(context.uc_mcontext.fpregs);
  if (passage.inside) return leave(context, frame);
  if (passage.start == nullptr || number != SIGILL) {
    ::signal(number, SIG_DFL);
    return;
  }
  enter(context, frame);
}

// AC, NT and ID stay as the code left them, and sigreturn gives none but AC back.
asm(R"(
.text
.globl berth_judge_on_signal
berth_judge_on_signal:
  pushfq
  andl $~0x244000, (%rsp)
  popfq
  jmp berth_judge_handle
)");

}  // extern "C"

Result<std::unique_ptr<HostProcessor>> HostProcessor::create() {
  std::unique_ptr<HostProcessor> made(new HostProcessor);
  TRY(made->map_pages());
  TRY(made->take_signals());
  return made;
}

Result<void> HostProcessor::map_pages() {
  constexpr std::size_t kAll = kPage + kDataBytes;
  const int memory = ::memfd_create("berth-judge", MFD_CLOEXEC);
  if (memory < 0 || ::ftruncate(memory, kAll) != 0) return fail_errno("cannot make memory for the judge");
  const auto map = [memory](std::uint64_t at, std::size_t bytes, int protection, int flags, off_t offset) {
    void* const mapped = ::mmap(reinterpret_cast<void*>(at), bytes, protection, flags,
                                (flags & MAP_ANONYMOUS) != 0 ? -1 : memory, offset);
    return mapped == MAP_FAILED ? nullptr : static_cast<std::byte*>(mapped);
  };
  constexpr int kShared = MAP_SHARED | MAP_POPULATE;
  pages_ = map(0, kAll, PROT_READ | PROT_WRITE, kShared, 0);
  zone_ =
      map(kZone, kZoneBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, 0);
  if (zone_ != reinterpret_cast<std::byte*>(kZone))
    return fail_errno(fmt::format("cannot reserve {:#x} for the judge", kZone));
  bool mapped = pages_ != nullptr;
  mapped &= map(kCode, kPage, PROT_READ | PROT_EXEC, kShared | MAP_FIXED, 0) != nullptr;
  mapped &= map(kData, kWritableBytes, PROT_READ | PROT_WRITE, kShared | MAP_FIXED, kPage) != nullptr;
  mapped &=
      map(kData + kWritableBytes, kPage, PROT_READ, kShared | MAP_FIXED, kPage + kWritableBytes) != nullptr;
  ::close(memory);
  if (!mapped) return fail_errno("cannot map the judge's pages");
  return {};
}

Result<void> HostProcessor::take_signals() {
  stack_ = static_cast<std::byte*>(std::malloc(kStackBytes));
  const stack_t stack{.ss_sp = stack_, .ss_flags = 0, .ss_size = kStackBytes};
  if (::sigaltstack(&stack, nullptr) != 0) return fail_errno("cannot set the judge's signal stack");
  struct sigaction action {};
  action.sa_sigaction = berth_judge_on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  for (const int number : kSignals) {
    if (::sigaction(number, &action, nullptr) != 0)
      return fail_errno(fmt::format("cannot take signal {}", number));
  }
  return {};
}

HostProcessor::~HostProcessor() {
  for (const int number : kSignals) ::signal(number, SIG_DFL);
  const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
  ::sigaltstack(&none, nullptr);
  if (zone_ != nullptr) ::munmap(zone_, kZoneBytes);
  if (pages_ != nullptr) ::munmap(pages_, kPage + kDataBytes);
  std::free(stack_);
}

void HostProcessor::run(const Case& what, Outcome& outcome) {
  std::memset(pages_, 0xcc, kPage);
  std::memcpy(pages_ + (kEntry - kCode), what.code.data(), what.code.size());
  std::memcpy(pages_ + kPage, what.data.data(), kDataBytes);
  passage.start = &what.start;
  passage.outcome = &outcome;
  asm volatile("ud2" ::: "memory");
  passage.start = nullptr;
  std::memcpy(outcome.data.data(), pages_ + kPage, kDataBytes);
}

}  // namespace berth::judge

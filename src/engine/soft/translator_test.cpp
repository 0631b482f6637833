// The translator against the interpreter: the same bytes, most of them hardly a program, with the same state
// end alike.
#include "engine/soft/translator.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "engine/soft/machine_fixture.hpp"
#include "engine/soft/soft_vcpu.hpp"
#include "x86/bits.hpp"

namespace berth::engine::soft {
namespace {

constexpr std::uint64_t kCode = 0x8000, kTables = 0x10000, kDataAt = 0x100000, kMemory = 2 << 20;
constexpr std::size_t kCodeBytes = 256, kDataBytes = 8192;
constexpr unsigned kPrograms = 3000;
constexpr std::chrono::milliseconds kPatience{200};

// One processor with its own memory; the first 2 MiB are mapped where they are.
class Side {
 public:
  explicit Side(Tiers tiers) : memory_(make_memory()), engine_(make_engine(memory_, machine_, tiers)) {
    put(kTables, kTables + 0x1003);
    put(kTables + 0x1000, kTables + 0x2003);
    put(kTables + 0x2000, 0x83);  // one large page
  }

  void set(const x86::CpuState& state, std::span<const std::byte> code, std::span<const std::byte> data) {
    std::fill(bytes(0, kTables).begin(), bytes(0, kTables).end(), std::byte{0xf4});
    std::fill(bytes(kDataAt, kMemory - kDataAt).begin(), bytes(kDataAt, kMemory - kDataAt).end(),
              std::byte{});
    std::copy(code.begin(), code.end(), bytes(kCode, code.size()).begin());
    std::copy(data.begin(), data.end(), bytes(kDataAt, data.size()).begin());
    put(kTables, kTables + 0x1003);
    put(kTables + 0x1000, kTables + 0x2003);
    put(kTables + 0x2000, 0x83);
    engine_->guest_memory_written(guest::Gpa{0}, kMemory);
    engine_->state() = state;
    engine_->state_changed();
  }
  // The kind of exit. A program that runs on and on is interrupted.
  std::size_t run() {
    std::mutex mutex;
    std::condition_variable_any ended;
    const std::jthread watchdog([&](const std::stop_token& stop) {
      std::unique_lock lock(mutex);
      if (!ended.wait_for(lock, stop, kPatience, [&stop] { return stop.stop_requested(); })) engine_->kick();
    });
    const auto exit = engine_->run();
    EXPECT_TRUE(exit);
    return exit->index();
  }
  x86::CpuState& state() { return engine_->state(); }
  std::span<std::byte> bytes(std::uint64_t at, std::size_t count) {
    return memory_.at(guest::Gpa{at}, count);
  }

 private:
  static guest::GuestMemory make_memory() {
    auto memory = guest::GuestMemory::create(kMemory);
    BERTH_ASSERT(memory);
    return std::move(*memory);
  }
  static std::unique_ptr<VcpuEngine> make_engine(const guest::GuestMemory& memory, Machine& machine,
                                                 Tiers tiers) {
    auto engine = make_soft_vcpu(memory, machine, tiers);
    BERTH_ASSERT(engine);
    return std::move(*engine);
  }
  void put(std::uint64_t address, std::uint64_t value) {
    std::memcpy(bytes(address, sizeof value).data(), &value, sizeof value);
  }

  EmptyMachine machine_;
  guest::GuestMemory memory_;
  std::unique_ptr<VcpuEngine> engine_;
};

x86::CpuState random_state(std::mt19937_64& random) {
  x86::CpuState state = x86::power_on_state();
  for (auto& reg : state.gpr) {
    reg = random() % 4 == 0 ? random() % 100 : kDataAt + 1024 + random() % 4096;
  }
  state.gpr[static_cast<std::size_t>(x86::Gpr::Rsp)] = kDataAt + 6144;
  state.rip = kCode;
  state.rflags = (random() & x86::rflags::kArithmetic) | x86::rflags::kOne;
  state.cr0 = x86::cr0::kPe | x86::cr0::kPg | x86::cr0::kMp | x86::cr0::kNe;
  state.cr3 = kTables;
  state.cr4 = x86::cr4::kPae | x86::cr4::kOsfxsr | x86::cr4::kOsxmmexcpt | x86::cr4::kOsxsave;
  state.xcr0 = 7;
  state.efer = x86::efer::kLme | x86::efer::kLma;
  state.idtr.limit = 0;  // any fault ends the program
  state.segment(x86::SegmentName::Cs).attributes = 0xa9b;
  return state;
}

// Opcodes that compute, move and branch, with random operands: bytes that are drawn alone seldom get far.
std::vector<std::byte> random_code(std::mt19937_64& random) {
  constexpr auto kOpcodes = std::to_array<std::uint8_t>(
      {0x01, 0x03, 0x09, 0x11, 0x13, 0x19, 0x21, 0x23, 0x29, 0x31, 0x33, 0x39, 0x3b, 0x50, 0x51,
       0x56, 0x58, 0x59, 0x5e, 0x5f, 0x63, 0x69, 0x6b, 0x70, 0x72, 0x74, 0x75, 0x78, 0x7c, 0x7e,
       0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8d, 0x90, 0x98, 0x99,
       0x9e, 0x9f, 0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xae, 0xc0, 0xc1, 0xc3, 0xc6, 0xc7, 0xc9, 0xd1,
       0xd3, 0xe3, 0xe8, 0xeb, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfc, 0xfe, 0xff});
  constexpr auto kEscaped = std::to_array<std::uint8_t>(
      {0x10, 0x11, 0x28, 0x29, 0x40, 0x44, 0x4f, 0x54, 0x57, 0x58, 0x6f, 0x7f, 0x92, 0x95, 0xa3, 0xab,
       0xaf, 0xb0, 0xb1, 0xb3, 0xb6, 0xb7, 0xba, 0xbc, 0xbe, 0xc0, 0xc1, 0xc8, 0xd4, 0xef, 0xfe});
  std::vector<std::byte> code;
  const auto add = [&code](std::uint64_t value) { code.push_back(static_cast<std::byte>(value)); };
  while (code.size() < kCodeBytes - 16) {
    const std::uint64_t draw = random();
    if (draw % 8 == 0) add(draw % 3 == 0 ? 0x66 : draw % 3 == 1 ? 0xf3 : 0xf0);
    if (draw % 2 == 0) add(0x40 | (draw >> 8 & 15));
    if (draw % 5 == 0) {
      add(0x0f);
      add(kEscaped[(draw >> 16) % kEscaped.size()]);
    } else {
      add(kOpcodes[(draw >> 16) % kOpcodes.size()]);
    }
    add(draw >> 32);
    if (draw >> 38 % 4 != 0) add((draw >> 40) % 64);
  }
  code.resize(kCodeBytes, std::byte{0xf4});
  return code;
}

// RDTSC, RDTSCP, RDRAND and RDSEED give something else each time.
bool tells_times_apart(const std::vector<std::byte>& code) {
  for (std::size_t i = 0; i + 1 < code.size(); ++i) {
    if (code[i] != std::byte{0x0f}) continue;
    if (code[i + 1] == std::byte{0x31} || code[i + 1] == std::byte{0xc7} || code[i + 1] == std::byte{0x01})
      return true;
  }
  return false;
}

std::uint64_t seed() {
  const char* const text = std::getenv("BERTH_TEST_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20261126;
}

std::string in_hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte byte : bytes.first(64)) text += fmt::format("{:02x} ", static_cast<unsigned>(byte));
  return text;
}

// The end of the same program on both.
void expect_alike(Side& interpreter, Side& translator, const std::string& what) {
  for (unsigned i = 0; i < 16; ++i)
    ASSERT_EQ(interpreter.state().gpr[i], translator.state().gpr[i]) << what << "register " << i;
  ASSERT_EQ(interpreter.state().rip, translator.state().rip) << what;
  ASSERT_EQ(interpreter.state().xsave, translator.state().xsave) << what;
  const auto expected = interpreter.bytes(kDataAt, kMemory - kDataAt);
  ASSERT_EQ(
      std::memcmp(expected.data(), translator.bytes(kDataAt, kMemory - kDataAt).data(), expected.size()), 0)
      << what;
}

void expect_same_end(const x86::CpuState& state, std::initializer_list<unsigned> bytes,
                     const VmExit& end = Halt{}) {
  Side interpreter(Tiers::Interpreter), translator(Tiers::EagerTranslator);
  std::vector<std::byte> code, data(kDataBytes);
  for (const unsigned byte : bytes) code.push_back(static_cast<std::byte>(byte));
  for (Side* side : {&interpreter, &translator}) {
    side->set(state, code, data);
    EXPECT_EQ(side->run(), end.index());
  }
  expect_alike(interpreter, translator, in_hex(code));
}

// Two accesses that share a look into the TLB, and one of the same register between that lies in another
// page.
TEST(Translator, TheStacksPageMayChangeAmongAccessesThatShareALook) {
  std::mt19937_64 random(seed());
  x86::CpuState state = random_state(random);
  state.gpr[static_cast<std::size_t>(x86::Gpr::Rsp)] = kDataAt + 0x900;
  expect_same_end(state, {0x48, 0x89, 0x44, 0x24, 0xf8,                    // mov [rsp - 8], rax
                          0x48, 0x89, 0x9c, 0x24, 0x00, 0x08, 0x00, 0x00,  // mov [rsp + 0x800], rbx
                          0x48, 0x89, 0x4c, 0x24, 0xf0,                    // mov [rsp - 16], rcx
                          0xf4});                                          // hlt
}

// A loop that goes through pages, twice: what it has remembered of one must not serve for another.
TEST(Translator, ALoopGoesThroughPages) {
  std::mt19937_64 random(seed());
  x86::CpuState state = random_state(random);
  state.gpr[static_cast<std::size_t>(x86::Gpr::Rdi)] = kDataAt + 3;
  state.gpr[static_cast<std::size_t>(x86::Gpr::Rcx)] = 2000;
  expect_same_end(state, {0x48, 0x89, 0x0f,        // mov [rdi], rcx
                          0x48, 0x83, 0xc7, 0x09,  // add rdi, 9
                          0x48, 0xff, 0xc9,        // dec rcx
                          0x75, 0xf4,              // jnz to the start
                          0xf4});                  // hlt
}

// Its last byte's distance from RBX does not fit into 32 bits, and 4 GiB below there is memory.
TEST(Translator, ADisplacementAtItsLimitDoesNotWrapAround) {
  std::mt19937_64 random(seed());
  x86::CpuState state = random_state(random);
  state.gpr[static_cast<std::size_t>(x86::Gpr::Rdi)] = kDataAt + 0x100;
  state.gpr[static_cast<std::size_t>(x86::Gpr::Rbx)] =
      kDataAt + 0x100 + (std::uint64_t{1} << 32) - 0x7fffffff;
  expect_same_end(state,
                  {0x48, 0x8b, 0x07,                          // mov rax, [rdi]
                   0x48, 0x8b, 0x83, 0xff, 0xff, 0xff, 0x7f,  // mov rax, [rbx + 0x7fffffff]
                   0xf4},                                     // hlt
                  Shutdown{});
}

// BSF of zero leaves its target alone, also one that lies in the context.
TEST(Translator, ARegisterThatIsNotWrittenStays) {
  std::mt19937_64 random(seed());
  x86::CpuState state = random_state(random);
  state.gpr[static_cast<std::size_t>(x86::Gpr::Rdx)] = 0;
  expect_same_end(state, {0x4c, 0x0f, 0xbc, 0xca,  // bsf r9, rdx
                          0x4c, 0x0f, 0xbd, 0xd2,  // bsr r10, rdx
                          0xf4});                  // hlt
}

TEST(Translator, EndsAsTheInterpreterDoes) {
  Side interpreter(Tiers::Interpreter), translator(Tiers::EagerTranslator);
  std::mt19937_64 random(seed());
  unsigned halted = 0, interrupted = 0;
  for (unsigned round = 0; round < kPrograms; ++round) {
    const x86::CpuState state = random_state(random);
    const std::vector<std::byte> code = random_code(random);
    std::vector<std::byte> data(kDataBytes);
    for (std::byte& byte : data) byte = static_cast<std::byte>(random());
    if (tells_times_apart(code)) continue;
    interpreter.set(state, code, data);
    translator.set(state, code, data);
    const std::string what = fmt::format("round {}: {}", round, in_hex(code));
    const std::size_t kind = interpreter.run(), other_kind = translator.run();
    // A program that stores to itself again and again takes longer to translate than to interpret.
    const std::size_t interruption = VmExit(Interrupted{}).index();
    if (kind == interruption || other_kind == interruption) {
      ++interrupted;
      continue;
    }
    ASSERT_EQ(kind, other_kind) << what;
    expect_alike(interpreter, translator, what);
    if (testing::Test::HasFatalFailure()) return;
    if (kind != VmExit(Halt{}).index()) continue;
    ASSERT_EQ(interpreter.state().rflags, translator.state().rflags) << what;
    ++halted;
  }
  EXPECT_GT(halted, kPrograms / 100);
  EXPECT_LT(interrupted, kPrograms / 50);
}

}  // namespace
}  // namespace berth::engine::soft

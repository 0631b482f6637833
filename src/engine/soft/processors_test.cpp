// Two processors of one machine: code that one changes and the other executes, and what LOCK promises.
#include "engine/soft/processors.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "engine/soft/machine_fixture.hpp"
#include "engine/soft/soft_vcpu.hpp"
#include "x86/bits.hpp"

namespace berth::engine::soft {
namespace {

constexpr std::uint32_t kFlag = 0x6000, kAnswer = 0x6100, kWrong = 0x6200;
constexpr std::uint32_t kFunction = 0x5003;  // its constant is aligned
constexpr std::uint32_t kTables = 0x10000;
constexpr std::uint32_t kRounds = 3000;

// Machine code of 64-bit mode, with ESI as the number of the round.
class Code {
 public:
  explicit Code(std::uint32_t address) : address_(address) {}
  std::uint32_t at() const { return address_ + static_cast<std::uint32_t>(bytes_.size()); }
  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

  Code& put(std::initializer_list<std::uint8_t> bytes) {
    bytes_.insert(bytes_.end(), bytes);
    return *this;
  }
  Code& put32(std::uint32_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8)
      bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
    return *this;
  }
  Code& next_round() { return put({0xff, 0xc6}); }
  Code& pause() { return put({0xf3, 0x90}); }
  Code& store_round(std::uint32_t address) { return put({0x89, 0x34, 0x25}).put32(address); }
  Code& compare_with_round(std::uint32_t address) { return put({0x39, 0x34, 0x25}).put32(address); }
  Code& jump_unless_equal(std::uint32_t target) { return put({0x0f, 0x85}).put32(target - at() - 4); }
  Code& call(std::uint32_t target) { return put({0xe8}).put32(target - at() - 4); }
  Code& repeat_from(std::uint32_t target) {
    put({0x81, 0xfe}).put32(kRounds);                   // cmp esi, kRounds
    return put({0x0f, 0x82}).put32(target - at() - 4);  // jb
  }
  Code& add_one(std::uint32_t address) { return put({0xf0, 0xff, 0x04, 0x25}).put32(address); }  // lock inc
  // Goes on when both are here.
  Code& meet(std::uint32_t address) {
    add_one(address);
    const std::uint32_t wait = at();
    return pause().put({0x83, 0x3c, 0x25}).put32(address).put({2}).jump_unless_equal(wait);
  }
  Code& halt() { return put({0xf4}); }

 private:
  std::uint32_t address_;
  std::vector<std::uint8_t> bytes_;
};

class ProcessorsTest : public testing::TestWithParam<Tiers> {
 protected:
  void SetUp() override {
    auto memory = guest::GuestMemory::create(2 << 20);
    ASSERT_TRUE(memory);
    memory_.emplace(std::move(*memory));
    put(kTables, kTables + 0x1003);
    put(kTables + 0x1000, kTables + 0x2003);
    put(kTables + 0x2000, 0x83);  // 2 MiB to themselves
    const Seat seats{std::make_shared<Processors>(*memory_), 0};
    for (unsigned i = 0; i < 2; ++i) {
      auto engine = make_soft_vcpu(*memory_, machine_, GetParam(), {seats.processors, i});
      ASSERT_TRUE(engine);
      engines_.push_back(std::move(*engine));
    }
  }

  void put(std::uint64_t address, std::uint64_t value) {
    ASSERT_TRUE(memory_->write(guest::Gpa{address}, std::as_bytes(std::span(&value, 1))));
  }
  std::uint32_t value_at(std::uint64_t address) {
    std::uint32_t value = 0;
    EXPECT_TRUE(memory_->read(guest::Gpa{address}, std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  void load(const Code& code, std::uint64_t address) {
    ASSERT_TRUE(memory_->write(guest::Gpa{address}, std::as_bytes(std::span(code.bytes()))));
  }

  void begin(unsigned processor, std::uint64_t rip) {
    x86::CpuState& state = engines_[processor]->state();
    state = x86::power_on_state();
    state.gpr = {};
    state.rip = rip;
    state.reg(x86::Gpr::Rsp) = 0x8000 + processor * 0x1000;
    state.cr0 = x86::cr0::kPe | x86::cr0::kPg;
    state.cr3 = kTables;
    state.cr4 = x86::cr4::kPae;
    state.efer = x86::efer::kLme | x86::efer::kLma;
    state.segment(x86::SegmentName::Cs).attributes = 0xa9b;
    engines_[processor]->state_changed();
  }
  // Both to their HLT; the second is stopped where the first does not want it any more.
  void run_both(std::uint64_t first, std::uint64_t second) {
    begin(0, first);
    begin(1, second);
    std::thread other([this] { EXPECT_TRUE(engines_[1]->run()); });
    const auto exit = engines_[0]->run();
    EXPECT_TRUE(exit && std::holds_alternative<Halt>(*exit));
    engines_[1]->kick();
    other.join();
  }

  EmptyMachine machine_;
  std::optional<guest::GuestMemory> memory_;
  std::vector<std::unique_ptr<VcpuEngine>> engines_;
};

// SDM vol. 3, 9.1.3: code that another processor has changed is executed as it is now after a serializing
// instruction.
TEST_P(ProcessorsTest, ChangedCodeIsSeen) {
  Code function(kFunction);
  function.put({0xb8}).put32(0).put({0xc3});  // mov eax, 0; ret
  load(function, kFunction);

  Code reader(0x1000);
  reader.store_round(kWrong).halt();
  const std::uint32_t start = reader.at();
  reader.next_round();
  const std::uint32_t wait = reader.at();
  reader.pause().compare_with_round(kFlag).jump_unless_equal(wait);
  reader.put({0x0f, 0xa2})
      .call(kFunction)
      .put({0x39, 0xf0})
      .jump_unless_equal(0x1000);  // cpuid; cmp eax, esi
  reader.store_round(kAnswer).repeat_from(start).halt();
  load(reader, 0x1000);

  Code writer(0x2000);
  writer.next_round().store_round(kFunction + 1).store_round(kFlag);
  const std::uint32_t answer = writer.at();
  writer.pause().compare_with_round(kAnswer).jump_unless_equal(answer).repeat_from(0x2000).halt();
  load(writer, 0x2000);

  run_both(start, 0x2000);
  EXPECT_EQ(value_at(kWrong), 0U);
  EXPECT_EQ(value_at(kAnswer), kRounds);
}

// What both add to under LOCK loses nothing, on a page of data and on one that holds code of both, where
// stores go another way.
TEST_P(ProcessorsTest, LockedSumsAreWhole) {
  constexpr std::uint32_t kOnCodePage = 0x3800, kOnDataPage = 0x6300, kExchanged = 0x3900;
  constexpr std::uint32_t kStart = 0x3000;
  Code adder(kStart);
  adder.meet(kFlag);
  const std::uint32_t round = adder.at();
  adder.next_round().add_one(kOnCodePage).add_one(kOnDataPage);
  adder.put({0xb8}).put32(1).put({0xf0, 0x0f, 0xc1, 0x04, 0x25}).put32(kExchanged);  // lock xadd of 1
  adder.repeat_from(round).meet(kAnswer).halt();
  load(adder, kStart);

  run_both(kStart, kStart);
  EXPECT_EQ(value_at(kOnCodePage), 2 * kRounds);
  EXPECT_EQ(value_at(kOnDataPage), 2 * kRounds);
  EXPECT_EQ(value_at(kExchanged), 2 * kRounds);
}

INSTANTIATE_TEST_SUITE_P(Tiers, ProcessorsTest,
                         testing::Values(Tiers::Interpreter, Tiers::Translator, Tiers::EagerTranslator));

}  // namespace
}  // namespace berth::engine::soft

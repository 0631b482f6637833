// Small programs that need more than ring 3: modes, exceptions, devices, code that changes itself.
#include "engine/soft/run_loop.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "engine/soft/soft_vcpu.hpp"

namespace berth::engine::soft {
namespace {

using x86::Gpr;
using x86::SegmentName;

constexpr std::uint64_t kCode = 0x1000, kHandler = 0x2000, kStackTop = 0x8000;

class OneInterrupt final : public Machine {
 public:
  bool interrupt_pending() override { return vector_.has_value(); }
  std::optional<std::uint8_t> take_interrupt() override { return std::exchange(vector_, std::nullopt); }
  std::uint64_t task_priority() override { return 0; }
  void set_task_priority(std::uint64_t) override {}
  bool read_msr(std::uint32_t, std::uint64_t&) override { return false; }
  bool write_msr(std::uint32_t, std::uint64_t) override { return false; }
  CpuidResult cpuid(std::uint32_t, std::uint32_t) override { return {}; }
  void pend(std::uint8_t vector) { vector_ = vector; }

 private:
  std::optional<std::uint8_t> vector_;
};

class RunLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    auto memory = guest::GuestMemory::create(2 << 20);
    ASSERT_TRUE(memory);
    memory_.emplace(std::move(*memory));
    auto vcpu = make_soft_vcpu(*memory_, machine_);
    ASSERT_TRUE(vcpu);
    vcpu_ = std::move(*vcpu);
    x86::CpuState& state = vcpu_->state();
    state.segment(SegmentName::Cs) = {.base = 0, .limit = 0xffff, .selector = 0, .attributes = 0x9b};
    state.rip = kCode;
    state.reg(Gpr::Rsp) = kStackTop;
    put(kHandler, {0xf4});  // HLT
  }

  void put(std::uint64_t address, std::vector<std::uint8_t> bytes) {
    ASSERT_TRUE(memory_->write(guest::Gpa{address}, std::as_bytes(std::span(bytes))));
  }
  template <class T>
  void put_value(std::uint64_t address, T value) {
    ASSERT_TRUE(memory_->write(guest::Gpa{address}, std::as_bytes(std::span(&value, 1))));
  }
  template <class T>
  T value_at(std::uint64_t address) {
    T value{};
    EXPECT_TRUE(memory_->read(guest::Gpa{address}, std::as_writable_bytes(std::span(&value, 1))));
    return value;
  }
  void set_real_vector(unsigned vector) { put_value<std::uint32_t>(vector * 4, kHandler); }
  VmExit run() {
    vcpu_->state_changed();
    return go_on();
  }
  VmExit go_on() {
    auto exit = vcpu_->run();
    EXPECT_TRUE(exit);
    return *exit;
  }
  x86::CpuState& state() { return vcpu_->state(); }

  // 64-bit mode at CPL 0: the first 2 MiB mapped to themselves by 4 KiB pages, CS 8 in a GDT, and an IDT with
  // the page fault's gate.
  void enter_long_mode() {
    constexpr std::uint64_t kTables = 0x10000, kGdt = 0x3000, kIdt = 0x4000;
    for (unsigned level = 0; level < 3; ++level) {
      put_value<std::uint64_t>(kTables + level * 0x1000, (kTables + (level + 1) * 0x1000) | 3);
    }
    for (std::uint64_t page = 0; page < 512; ++page) {
      put_value<std::uint64_t>(kTables + 0x3000 + page * 8, page << 12 | 3);
    }
    put_value<std::uint64_t>(kGdt + 8, 0x00af9b000000ffff);
    put_value<std::uint64_t>(kIdt + 14 * 16, 0x00008e0000080000 | kHandler);
    state().gdtr = {kGdt, 15};
    state().idtr = {kIdt, 255};
    state().cr0 = x86::cr0::kPe | x86::cr0::kPg | x86::cr0::kWp;
    state().cr3 = kTables;
    state().cr4 = x86::cr4::kPae;
    state().efer = x86::efer::kLme | x86::efer::kLma | x86::efer::kNxe;
    state().segment(SegmentName::Cs) = {.base = 0, .limit = 0xffffffff, .selector = 8, .attributes = 0xa9b};
  }

  OneInterrupt machine_;
  std::optional<guest::GuestMemory> memory_;
  std::unique_ptr<VcpuEngine> vcpu_;
};

TEST_F(RunLoopTest, CodeMayChangeTheInstructionBehindIt) {
  // mov byte [0x1006], 0x42; mov al, 0x11; hlt
  put(kCode, {0xc6, 0x06, 0x06, 0x10, 0x42, 0xb0, 0x11, 0xf4});
  EXPECT_TRUE(std::holds_alternative<Halt>(run()));
  EXPECT_EQ(state().reg(Gpr::Rax) & 0xff, 0x42u);
}

TEST_F(RunLoopTest, DevicesWritesToCodeAreSeen) {
  put(kCode, {0xb0, 0x11, 0xf4});
  run();
  put(kCode, {0xb0, 0x22, 0xf4});
  vcpu_->guest_memory_written(guest::Gpa{kCode}, 3);
  state().rip = kCode;
  state().activity = x86::Activity::Running;
  run();
  EXPECT_EQ(state().reg(Gpr::Rax) & 0xff, 0x22u);
}

TEST_F(RunLoopTest, ReadModifyWriteOfADeviceLeavesOnceForEachAccess) {
  put(kCode, {0x00, 0x06, 0x10, 0x00, 0xf4});  // add [0x10], al; hlt
  state().segment(SegmentName::Ds).base = 0xc0000000;
  state().reg(Gpr::Rax) = 3;
  const VmExit first = run();
  const auto* read = std::get_if<Mmio>(&first);
  ASSERT_NE(read, nullptr);
  EXPECT_FALSE(read->write);
  EXPECT_EQ(guest::value(read->address), 0xc0000010u);
  vcpu_->complete_read(5);
  const VmExit second = go_on();
  const auto* write = std::get_if<Mmio>(&second);
  ASSERT_NE(write, nullptr);
  EXPECT_TRUE(write->write);
  EXPECT_EQ(write->value, 8u);
  EXPECT_TRUE(std::holds_alternative<Halt>(go_on()));
}

TEST_F(RunLoopTest, PortsAreReadAndWritten) {
  put(kCode, {0xe4, 0x60, 0xe6, 0x61, 0xf4});  // in al, 0x60; out 0x61, al; hlt
  const VmExit first = run();
  ASSERT_TRUE(std::holds_alternative<PortIo>(first));
  EXPECT_EQ(std::get<PortIo>(first).port, 0x60);
  vcpu_->complete_read(0x7f);
  const VmExit second = go_on();
  ASSERT_TRUE(std::holds_alternative<PortIo>(second));
  EXPECT_TRUE(std::get<PortIo>(second).write);
  EXPECT_EQ(std::get<PortIo>(second).value, 0x7fu);
  EXPECT_TRUE(std::holds_alternative<Halt>(go_on()));
}

TEST_F(RunLoopTest, DivideErrorReturnsToTheDivision) {
  set_real_vector(0);
  put(kCode, {0x90, 0xf6, 0xf3});  // nop; div bl
  EXPECT_TRUE(std::holds_alternative<Halt>(run()));
  EXPECT_EQ(state().rip, kHandler + 1);
  EXPECT_EQ(value_at<std::uint16_t>(kStackTop - 6), kCode + 1);
}

TEST_F(RunLoopTest, SoftwareInterruptReturnsBehindItself) {
  set_real_vector(0x21);
  put(kHandler, {0xcf});                    // iret
  put(kCode, {0xcd, 0x21, 0xb0, 7, 0xf4});  // int 0x21; mov al, 7; hlt
  EXPECT_TRUE(std::holds_alternative<Halt>(run()));
  EXPECT_EQ(state().reg(Gpr::Rax) & 0xff, 7u);
  EXPECT_EQ(state().reg(Gpr::Rsp), kStackTop);
}

TEST_F(RunLoopTest, SingleStepTrapsBehindOneInstruction) {
  set_real_vector(1);
  put(kCode, {0x90, 0x90, 0x90});
  state().rflags |= x86::rflags::kTf;
  EXPECT_TRUE(std::holds_alternative<Halt>(run()));
  EXPECT_EQ(value_at<std::uint16_t>(kStackTop - 6), kCode + 1);
  EXPECT_NE(state().dr6 & x86::dr6::kBs, 0u);
}

TEST_F(RunLoopTest, StiHoldsInterruptsOffForOneInstruction) {
  set_real_vector(0x30);
  machine_.pend(0x30);
  put(kCode, {0xfb, 0xb0, 9, 0xb0, 1, 0xf4});  // sti; mov al, 9; mov al, 1; hlt
  EXPECT_TRUE(std::holds_alternative<Halt>(run()));
  EXPECT_EQ(state().reg(Gpr::Rax) & 0xff, 9u);
  EXPECT_EQ(value_at<std::uint16_t>(kStackTop - 6), kCode + 3);
}

TEST_F(RunLoopTest, AFaultThatCannotBeDeliveredShutsDown) {
  put(kCode, {0x0f, 0x0b});  // ud2
  state().cr0 |= x86::cr0::kPe;
  state().idtr.limit = 0;
  EXPECT_TRUE(std::holds_alternative<Shutdown>(run()));
}

TEST_F(RunLoopTest, PageFaultTellsAddressAndCause) {
  enter_long_mode();
  put(kCode, {0xc6, 0x04, 0x25, 0x00, 0x00, 0x40, 0x00, 0x01});  // mov byte [0x400000], 1: not mapped
  EXPECT_TRUE(std::holds_alternative<Halt>(run()));
  EXPECT_EQ(state().cr2, 0x400000u);
  EXPECT_EQ(value_at<std::uint64_t>(kStackTop - 48), 2u);  // a write, page absent
  EXPECT_EQ(value_at<std::uint64_t>(kStackTop - 40), kCode);
  EXPECT_EQ(state().rip, kHandler + 1);
}

TEST_F(RunLoopTest, WriteProtectionHoldsInTheKernelToo) {
  enter_long_mode();
  put_value<std::uint64_t>(0x13000 + 0x50 * 8, 0x50000 | 1);  // read-only
  put(kCode, {0xfe, 0x04, 0x25, 0x00, 0x00, 0x05, 0x00});     // inc byte [0x50000]
  EXPECT_TRUE(std::holds_alternative<Halt>(run()));
  EXPECT_EQ(value_at<std::uint64_t>(kStackTop - 48), 3u);
  EXPECT_EQ(value_at<std::uint8_t>(0x50000), 0u);
}

TEST_F(RunLoopTest, AccessedAndDirtyBitsAreSet) {
  enter_long_mode();
  put(kCode, {0xc6, 0x04, 0x25, 0x00, 0x00, 0x06, 0x00, 0x01, 0xf4});  // mov byte [0x60000], 1; hlt
  EXPECT_TRUE(std::holds_alternative<Halt>(run()));
  EXPECT_EQ(value_at<std::uint64_t>(0x13000 + 0x60 * 8) & 0x60, 0x60u);
  EXPECT_EQ(value_at<std::uint64_t>(0x13000 + 0x61 * 8) & 0x60, 0u);
}

}  // namespace
}  // namespace berth::engine::soft

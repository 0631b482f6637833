#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "vmm/console.hpp"
#include "vmm/cpuid.hpp"
#include "vmm/description.hpp"
#include "vmm/kvm_clock.hpp"
#include "vmm/msrs.hpp"

namespace berth::vmm {
namespace {

TEST(Description, ReadsSizesAndRefusesWhatItDoesNotKnow) {
  const auto good = parse_description(R"({"kernel": "/k", "memory": "512M", "vcpus": 8, "engine": "kvm"})");
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->memory_bytes, std::uint64_t{512} << 20);
  EXPECT_EQ(good->engine, EngineChoice::Kvm);
  const auto message = [](const char* text) { return parse_description(text).error().message; };
  EXPECT_NE(message(R"({})").find("machine.kernel"), std::string::npos);
  EXPECT_NE(message(R"({"kernel": "/k", "vcpus": 9})").find("machine.vcpus: expected 1 to 8"),
            std::string::npos);
  EXPECT_NE(message(R"({"kernel": "/k", "memry": 1})").find("machine.memry"), std::string::npos);
  EXPECT_NE(message(R"({"kernel": "/k", "engine": "x"})").find("machine.engine"), std::string::npos);
}

TEST(Description, ReadsANetworkAndItsAddress) {
  const auto with = [](const char* network) {
    return parse_description(fmt::format(R"({{"kernel": "/k", "network": {}}})", network));
  };
  const auto good = with(R"({"kind": "tap", "path": "fd:10", "mac": "02:00:5e:0a:ff:01"})");
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->network->kind, NetworkKind::Tap);
  EXPECT_EQ(good->network->mac, (std::array<std::uint8_t, 6>{2, 0, 0x5e, 0xa, 0xff, 1}));
  EXPECT_FALSE(with(R"({"kind": "x", "path": "fd:10", "mac": "02:00:5e:0a:ff:01"})"));
  EXPECT_FALSE(with(R"({"kind": "tap", "path": "/dev/net/tun", "mac": "02:00:5e:0a:ff:01"})"));
  for (const char* mac :
       {"", "02:00:5e:0a:ff", "02:00:5e:0a:ff:0g", "02-00-5e-0a-ff-01", "03:00:5e:0a:ff:01"})
    EXPECT_FALSE(with(fmt::format(R"({{"kind": "tap", "path": "fd:10", "mac": "{}"}})", mac).c_str())) << mac;
}

TEST(Cpuid, AddsTheBoardToTheEnginesFeatures) {
  const engine::CpuidTable features{{0, 0, false, {0xd, 1, 2, 3}},
                                    {1, 0, false, {0x600, 0xffffffff, 0xffffffff, 0xffffffff}},
                                    {0xb, 0, true, {9, 9, 9, 9}},
                                    {0x80000001, 0, false, {0, 0, 0xffffffff, 0}},
                                    {0x40000000, 0, false, {1, 2, 3, 4}}};
  const auto table = guest_cpuid(features, {.index = 5, .count = 6, .tsc_hz = 2'500'000'000});
  const auto one = engine::look_up(table, 1, 0);
  EXPECT_EQ(one.ebx >> 24, 5U);
  EXPECT_EQ(one.ebx >> 16 & 0xff, 6U);
  EXPECT_EQ(one.ecx >> 31, 1U) << "hypervisor";
  EXPECT_EQ(one.ecx & (1 << 5 | 1 << 3), 0U) << "no VMX, no MONITOR";
  EXPECT_EQ(engine::look_up(table, 0xb, 1).eax, 3U) << "six processors take three bits of APIC id";
  EXPECT_EQ(engine::look_up(table, 0xb, 1).edx, 5U);
  EXPECT_EQ(engine::look_up(table, 0x80000001, 0).ecx & 4, 0U) << "no SVM";
  const auto time = engine::look_up(table, 0x15, 0);
  EXPECT_EQ(std::uint64_t{time.ecx} * time.ebx / time.eax, 2'500'000'000U);
  const auto signature = engine::look_up(table, 0x40000000, 0);
  EXPECT_EQ(std::memcmp(&signature.ebx, "KVMKVMKVM\0\0\0", 12), 0);
  EXPECT_EQ(engine::look_up(table, 0x12345678, 0).eax, 0U);
}

TEST(KvmClock, ScaleConvertsTicksToNanoseconds) {
  for (const std::uint64_t hz :
       {std::uint64_t{500'000'000}, std::uint64_t{999'999'999}, std::uint64_t{2'095'992'000},
        std::uint64_t{4'000'000'000}, std::uint64_t{5'700'000'000}}) {
    const TscScale scale = tsc_scale(hz);
    const std::uint64_t ticks = hz * 3600;
    const auto shifted = scale.shift >= 0 ? static_cast<unsigned __int128>(ticks) << scale.shift
                                          : static_cast<unsigned __int128>(ticks) >> -scale.shift;
    const auto ns = static_cast<double>(shifted * scale.multiplier >> 32);
    EXPECT_NEAR(ns / 3600e9, 1.0, 1e-9) << hz;
  }
}

TEST(KvmClock, PublishesWhereTheGuestSaysAndOnlyInRam) {
  const auto memory = guest::GuestMemory::create(std::uint64_t{2} << 20);
  ASSERT_TRUE(memory);
  KvmClock clock(*memory, 1'000'000'000);
  EXPECT_TRUE(clock.write_msr(0x4b564d01, 0x1001, 777, 555, 0));
  std::uint64_t fields[4];
  ASSERT_TRUE(memory->read(guest::Gpa{0x1000}, std::as_writable_bytes(std::span(fields))));
  EXPECT_EQ(fields[0] & 1, 0U) << "an even version";
  EXPECT_EQ(fields[1], 777U);
  EXPECT_EQ(fields[2], 555U);
  EXPECT_FALSE(clock.write_msr(0x4b564d01, (std::uint64_t{2} << 20) - 8 + 1, 0, 0, 0));
  EXPECT_FALSE(clock.write_msr(0x4b564d00, ~std::uint64_t{0}, 0, 0, 0));
  EXPECT_TRUE(clock.write_msr(0x4b564d00, 0x2000, 0, 0, 1'700'000'000'000'000'123));
  std::uint32_t wall[3];
  ASSERT_TRUE(memory->read(guest::Gpa{0x2000}, std::as_writable_bytes(std::span(wall))));
  EXPECT_EQ(wall[1], 1'700'000'000U);
  EXPECT_EQ(wall[2], 123U);
}

TEST(PlainMsrs, KeepWhatIsWritableAndRefuseTheRest) {
  PlainMsrs msrs;
  std::uint64_t value = 0;
  EXPECT_TRUE(msrs.write(0x2ff, 0xc00));
  EXPECT_TRUE(msrs.read(0x2ff, value));
  EXPECT_EQ(value, 0xc00U);
  EXPECT_FALSE(msrs.write(0xfe, 1)) << "read-only";
  EXPECT_FALSE(msrs.read(0xdeadbeef, value));
  EXPECT_FALSE(msrs.write(0xdeadbeef, 1));
}

class ConsoleTest : public testing::Test {
 protected:
  struct NoLines final : device::InterruptSink {
    void set_line(unsigned, bool) override {}
  } lines_;
};

TEST_F(ConsoleTest, PassesBytesBothWaysThoughTheFifoIsSmall) {
  auto in = sys::pipe();
  auto out = sys::pipe();
  ASSERT_TRUE(in && out);
  const auto console = Console::create(in->read.get(), out->write.get());
  ASSERT_TRUE(console);
  device::Serial serial(device::kCom1, {lines_, 4}, (*console)->host());
  device::PortDevice& port = serial;
  (*console)->connect(serial);
  const std::string text(1000, 'k');
  ASSERT_TRUE(sys::write_all(in->write.get(), text));
  for (int echoed = 0; echoed < 1000;) {  // the guest's side: echo
    if ((port.port_read(device::kCom1 + 5, 1) & 1) == 0) continue;
    port.port_write(device::kCom1, 1, port.port_read(device::kCom1, 1));
    ++echoed;
  }
  (*console)->close();
  out->write.reset();
  EXPECT_EQ(sys::read_all(out->read.get()), text);
}

}  // namespace
}  // namespace berth::vmm

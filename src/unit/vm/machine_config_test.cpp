#include "unit/vm/machine_config.hpp"

#include <gtest/gtest.h>

#include "base/json_value.hpp"

namespace berth::unit {
namespace {

isolate::UnitConfig plain() {
  isolate::UnitConfig config;
  config.unit = isolate::UnitKind::Vm;
  config.rootfs.layers = {"/layers/a/fs"};
  config.args = {"true"};
  return config;
}

TEST(MachineConfig, TakesWhatAMachineCanDo) {
  auto config = plain();
  config.privileged = true;
  config.volumes = {{"", "/t", false, true, 65536}};
  config.resources.cpus = 0.5;
  config.resources.memory_bytes = std::uint64_t{100} << 20;
  EXPECT_TRUE(check_machine(config).has_value());
}

TEST(MachineConfig, RefusesByName) {
  const auto refused = [](auto change, std::string_view option) {
    auto config = plain();
    change(config);
    const auto checked = check_machine(config);
    return !checked && checked.error().message.starts_with(option);
  };
  EXPECT_TRUE(refused([](auto& c) { c.network = isolate::NetworkMode::Host; }, "--network"));
  EXPECT_TRUE(refused([](auto& c) { c.volumes = {{"/a", "/b", false, false, 0}}; }, "--volume"));
  EXPECT_TRUE(refused([](auto& c) { c.devices = {{"/dev/null", "/dev/null", "rwm"}}; }, "--device"));
  EXPECT_TRUE(refused([](auto& c) { c.userns = isolate::UserMapping{1, 1}; }, "--userns"));
  EXPECT_TRUE(refused([](auto& c) { c.resources.cpus = 8.5; }, "--cpus"));
  EXPECT_TRUE(refused([](auto& c) { c.resources.memory_bytes = 1 << 20; }, "--memory"));
  EXPECT_TRUE(refused([](auto& c) { c.rootfs.layers.clear(); }, "--unit vm"));
  EXPECT_TRUE(refused([](auto& c) { c.rootfs.layers.resize(27, "/x"); }, "--unit vm"));
}

TEST(MachineConfig, LimitsBelongToTheGuestOrToTheProcess) {
  auto config = plain();
  config.resources.memory_bytes = (std::uint64_t{100} << 20) + 1;
  config.resources.pids = 7;
  config.resources.cpu_weight = 300;
  EXPECT_EQ(guest_memory_bytes(config), std::uint64_t{102} << 20);
  const auto host = machine_resources(config);
  EXPECT_GT(*host.memory_bytes, guest_memory_bytes(config));
  EXPECT_FALSE(host.pids.has_value());
  EXPECT_EQ(host.cpu_weight, 300U);
  const auto guest = guest_config(config);
  EXPECT_EQ(guest.resources.pids, 7U);
  EXPECT_FALSE(guest.resources.memory_bytes.has_value());
  EXPECT_EQ(guest.unit, isolate::UnitKind::Container);
}

TEST(MachineConfig, HasAProcessorForEachThatItMayUse) {
  auto config = plain();
  EXPECT_EQ(guest_processors(config), 1U);
  config.resources.cpus = 0.2;
  EXPECT_EQ(guest_processors(config), 1U);
  config.resources.cpus = 1.5;
  EXPECT_EQ(guest_processors(config), 2U);
}

TEST(MachineConfig, AGuestFiltersWhatItWasAskedTo) {
  auto config = plain();
  EXPECT_EQ(guest_config(config).seccomp, "unconfined");
  config.seccomp = "{}";
  EXPECT_EQ(guest_config(config).seccomp, "{}");
}

TEST(MachineConfig, AGuestKnowsItsInterface) {
  auto config = plain();
  EXPECT_FALSE(guest_config(config).interface.has_value());
  EXPECT_EQ(guest_config(config).network, isolate::NetworkMode::None);
  config.network = isolate::NetworkMode::User;
  EXPECT_TRUE(check_machine(config).has_value());
  EXPECT_EQ(guest_config(config).interface->address, "10.0.2.15/24");
  EXPECT_EQ(guest_config(config).network, isolate::NetworkMode::Host) << "all of the guest's";
  config.network = isolate::NetworkMode::Tap;
  EXPECT_FALSE(check_machine(config).has_value());
  config.interface = isolate::GuestInterface{"tap0", "192.0.2.2/24", "", {"192.0.2.1"}};
  EXPECT_TRUE(check_machine(config).has_value());
  const isolate::UnitConfig guest = guest_config(config);
  const auto copy = isolate::UnitConfig::from_json(JsonView(guest.to_json(), "copy"));
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_EQ(copy->interface->address, "192.0.2.2/24");
  EXPECT_EQ(copy->interface->dns, std::vector<std::string>{"192.0.2.1"});
  EXPECT_TRUE(copy->owns_network());
}

}  // namespace
}  // namespace berth::unit

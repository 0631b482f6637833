#include "isolate/systemd_properties.hpp"

#include <gtest/gtest.h>

#include <map>

namespace berth::isolate {
namespace {

// Each property as its name and its D-Bus bytes.
std::map<std::string, std::string> bytes_of(const std::vector<sys::SystemdProperty>& properties) {
  std::map<std::string, std::string> all;
  for (const sys::SystemdProperty& property : properties) {
    sys::DBusWriter writer;
    property.write(writer);
    all[property.name] = property.signature + " " + writer.bytes();
  }
  return all;
}

std::string number(std::uint64_t value) {
  sys::DBusWriter writer;
  writer.u64(value);
  return "t " + writer.bytes();
}

std::map<std::string, std::string> limits(const std::vector<sys::CgroupSetting>& settings) {
  const auto list = systemd_limits(settings);
  EXPECT_TRUE(list) << list.error().message;
  return bytes_of(*list);
}

TEST(SystemdProperties, Version2) {
  auto all = limits({{"", "cpu", "cpu.weight", "79"},
                     {"", "cpu", "cpu.max", "30000 60000"},
                     {"", "memory", "memory.max", "67108864"},
                     {"", "memory", "memory.swap.max", "max"},
                     {"", "pids", "pids.max", "max"},
                     {"", "io", "io.weight", "default 333"},
                     {"", "io", "io.weight", "8:0 12"},
                     {"", "io", "io.max", "8:0 rbps=1"}});
  EXPECT_EQ(all["CPUWeight"], number(79));
  EXPECT_EQ(all["CPUQuotaPerSecUSec"], number(500000));
  EXPECT_EQ(all["CPUQuotaPeriodUSec"], number(60000));
  EXPECT_EQ(all["MemoryMax"], number(64 << 20));
  EXPECT_EQ(all["MemorySwapMax"], number(UINT64_MAX));
  EXPECT_EQ(all["TasksMax"], number(UINT64_MAX));
  EXPECT_EQ(all["IOWeight"], number(333));
  EXPECT_EQ(all.size(), 7U);
}

TEST(SystemdProperties, Version1) {
  auto all = limits({{"", "cpu", "cpu.shares", "300"},
                     {"", "cpu", "cpu.cfs_period_us", "30000"},
                     {"", "cpu", "cpu.cfs_quota_us", "10000"},
                     {"", "memory", "memory.limit_in_bytes", "-1"}});
  EXPECT_EQ(all["CPUShares"], number(300));
  EXPECT_EQ(all["CPUQuotaPerSecUSec"], number(340000));  // a third, in whole hundredths above it
  EXPECT_EQ(all["CPUQuotaPeriodUSec"], number(30000));
  EXPECT_EQ(all["MemoryLimit"], number(UINT64_MAX));
}

TEST(SystemdProperties, QuotasThatAreNone) {
  EXPECT_EQ(limits({{"", "cpu", "cpu.max", "max 100000"}})["CPUQuotaPerSecUSec"], number(UINT64_MAX));
  EXPECT_EQ(limits({{"", "cpu", "cpu.cfs_quota_us", "-1"}})["CPUQuotaPerSecUSec"], number(UINT64_MAX));
  EXPECT_TRUE(limits({{"", "cpu", "cpu.max", "5 0"}}).empty());
  EXPECT_EQ(limits({{"", "cpu", "cpu.max", "18446744073709551614 1"}})["CPUQuotaPerSecUSec"],
            number(UINT64_MAX));
}

TEST(SystemdProperties, ProcessorSetsAreBits) {
  auto all = limits({{"", "cpuset", "cpuset.cpus", "0-1,9"}});
  EXPECT_EQ(all["AllowedCPUs"], std::string("ay \x02\x00\x00\x00\x03\x02", 9));
  EXPECT_FALSE(systemd_limits({{"linux.resources.cpu.cpus", "cpuset", "cpuset.cpus", "x"}}));
}

constexpr std::string_view kDevices =
    "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  7 loop\n  1 ramdisk\n";

std::string devices_of(const std::vector<sys::DeviceRule>& rules) {
  return bytes_of(systemd_devices(rules, kDevices))["DeviceAllow"];
}

TEST(SystemdProperties, Devices) {
  const std::vector<sys::DeviceRule> rules = {{false, 'a', {}, {}, "rwm"}, {true, 'c', {}, {}, "m"},
                                              {true, 'c', 1, 3, "rw"},     {true, 'c', 136, {}, "rwm"},
                                              {true, 'b', 1, {}, "r"},     {true, 'c', 99, {}, "r"}};
  const std::string bytes = devices_of(rules);
  for (const char* path : {"char-*", "/dev/char/1:3", "char-pts", "block-ramdisk"})
    EXPECT_NE(bytes.find(path), std::string::npos) << path;
  EXPECT_EQ(bytes.find("99"), std::string::npos);
  auto strict = bytes_of(systemd_devices(rules, kDevices));
  EXPECT_NE(strict["DevicePolicy"].find("strict"), std::string::npos);
}

TEST(SystemdProperties, LaterDeviceRulesCount) {
  const sys::DeviceRule all{true, 'a', {}, {}, "rwm"};
  const sys::DeviceRule none{false, 'a', {}, {}, "rwm"};
  EXPECT_NE(bytes_of(systemd_devices({none, all}, kDevices))["DevicePolicy"].find("auto"), std::string::npos);
  EXPECT_EQ(devices_of({none, {true, 'c', 1, 3, "rw"}, {false, 'c', 1, 3, "rw"}}).find("1:3"),
            std::string::npos);
}

std::string property(const std::string& name, std::string_view value) {
  const auto parsed = parse_systemd_property(name, value);
  if (!parsed) return parsed.error().message;
  sys::DBusWriter writer;
  parsed->write(writer);
  return parsed->name + " " + parsed->signature + " " + writer.bytes();
}

TEST(SystemdProperties, Annotations) {
  EXPECT_EQ(property("CollectMode", "'inactive-or-failed'"),
            "CollectMode s " + std::string("\x12\0\0\0inactive-or-failed\0", 23));
  EXPECT_EQ(property("Delegate", "true"), "Delegate b " + std::string("\1\0\0\0", 4));
  EXPECT_EQ(property("TasksMax", "uint64 5"), "TasksMax " + number(5));
  EXPECT_EQ(property("TimeoutStopSec", "1.5"), "TimeoutStopUSec " + number(1500000));
  EXPECT_EQ(property("TimeoutStopSec", "uint64 2"), "TimeoutStopUSec " + number(2000000));
  EXPECT_EQ(property("Nice", "-3"), "Nice i " + std::string("\xfd\xff\xff\xff", 4));
  EXPECT_EQ(property("After", "['a.service', 'b.service']").substr(0, 9), "After as ");
}

TEST(SystemdProperties, AnnotationsThatMakeNoSense) {
  for (const char* value :
       {"", "word", "'open", "uint64 -1", "uint64", "99999999999", "['a', b]", "['a'", "double 5"})
    EXPECT_FALSE(parse_systemd_property("Name", value)) << value;
  EXPECT_FALSE(parse_systemd_property("", "true"));
  EXPECT_FALSE(parse_systemd_property("a b", "true"));
  EXPECT_FALSE(parse_systemd_property("TimeoutSec", "-1"));
}

}  // namespace
}  // namespace berth::isolate

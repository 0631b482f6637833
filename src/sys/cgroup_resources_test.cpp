#include <gtest/gtest.h>

#include <limits>

#include "base/json_value.hpp"
#include "sys/cgroup.hpp"

namespace berth::sys {
namespace {

// The message of the refusal; "" where it was accepted.
std::string refusal(const Resources& resources) {
  const auto checked = resources.check();
  return checked ? "" : checked.error().message;
}

void expect_refused(const Resources& resources, std::string_view flag) {
  EXPECT_TRUE(refusal(resources).starts_with(flag)) << flag << " gave: " << refusal(resources);
}

TEST(Resources, AcceptsWhatMakesSense) {
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(refusal({.cpus = 0.01, .cpu_weight = 1, .cpuset = "0", .memory_bytes = 512 << 10}), "");
  EXPECT_EQ(
      refusal({.cpu_weight = 10000, .memory_bytes = 1 << 20, .memory_low_bytes = 1 << 20, .swap_bytes = 0}),
      "");
  EXPECT_EQ(refusal({.pids = 1, .io_weight = 10000}), "");
}

TEST(Resources, NamesTheOptionItRefuses) {
  expect_refused({.cpus = 0.0}, "--cpus 0");
  expect_refused({.cpus = -1.0}, "--cpus -1");
  expect_refused({.cpus = 1e9}, "--cpus 1000000000");
  expect_refused({.cpus = std::numeric_limits<double>::quiet_NaN()}, "--cpus nan");
  expect_refused({.cpu_weight = 0}, "--cpu-weight 0");
  expect_refused({.cpu_weight = 10001}, "--cpu-weight 10001");
  expect_refused({.cpuset = ""}, "--cpuset");
  expect_refused({.cpuset = "0-x"}, "--cpuset");
  expect_refused({.cpuset = "0,8000"}, "--cpuset 0,8000");
  expect_refused({.memory_bytes = 1000}, "--memory 1000");
  expect_refused({.memory_bytes = UINT64_MAX}, "--memory");
  expect_refused({.memory_bytes = 1 << 20, .memory_low_bytes = 2 << 20}, "--memory-low");
  expect_refused({.memory_bytes = 1 << 20, .swap_bytes = UINT64_MAX - 5}, "--swap");
  expect_refused({.pids = 0}, "--pids 0");
  expect_refused({.io_weight = 0}, "--io-weight 0");
  expect_refused({.io_max = {{.device = "sda"}}}, "--io-max sda");
  expect_refused({.io_max = {{.device = "4000:77"}}}, "--io-max 4000:77");
}

TEST(Resources, FlagsAreThoseGiven) {
  EXPECT_TRUE(Resources{}.empty());
  const Resources resources{.cpus = 1.0, .pids = 5, .io_max = {{.device = "7:0"}}};
  EXPECT_EQ(resources.flags(), (std::vector<std::string_view>{"--cpus", "--pids", "--io-max"}));
}

TEST(Resources, JsonThereAndBack) {
  const Resources full{
      .cpus = 0.5,
      .cpu_weight = 2,
      .cpuset = "0-1",
      .memory_bytes = 3,
      .memory_low_bytes = 4,
      .swap_bytes = 0,
      .pids = 6,
      .io_weight = 7,
      .io_max = {{.device = "8:0", .read_bps = 1, .write_bps = 2, .read_iops = 3, .write_iops = 4}}};
  const Json json = full.to_json();
  const auto back = Resources::from_json(JsonView(json, "resources"));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->to_json(), json);
  EXPECT_EQ(back->swap_bytes, 0U);
  EXPECT_EQ(back->io_max.at(0).write_iops, 4U);
  EXPECT_EQ(Resources{}.to_json().dump(), "{}");
}

TEST(Resources, JsonErrorsNameTheField) {
  const Json json{{"pids", "many"}};
  const auto parsed = Resources::from_json(JsonView(json, "resources"));
  ASSERT_FALSE(parsed);
  EXPECT_TRUE(parsed.error().message.starts_with("resources.pids: expected")) << parsed.error().message;
}

}  // namespace
}  // namespace berth::sys

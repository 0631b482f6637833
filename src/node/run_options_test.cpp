#include "node/run_options.hpp"

#include <gtest/gtest.h>

#include "node/option_parts.hpp"

namespace berth::node {
namespace {

using Texts = std::vector<std::string>;

image::ResolvedImage image_with(Texts entrypoint, Texts cmd) {
  image::ResolvedImage image;
  image.record.name = "docker.io/library/demo:latest";
  image.config.entrypoint = std::move(entrypoint);
  image.config.cmd = std::move(cmd);
  image.config.env = {"PATH=/image/bin", "A=image"};
  image.layers = {"/layers/top"};
  return image;
}

Texts args_of(const RunOptions& options, const image::ResolvedImage& image) {
  return make_config(options, &image)->args;
}

RunOptions demo() {
  RunOptions options;
  options.image = "demo";
  return options;
}

TEST(RunOptionsTest, EntrypointAndCommandMergeAsDockers) {
  const auto image = image_with({"/entry", "-x"}, {"serve", "now"});
  RunOptions options = demo();
  EXPECT_EQ(args_of(options, image), (Texts{"/entry", "-x", "serve", "now"}));
  options.command = {"other"};
  EXPECT_EQ(args_of(options, image), (Texts{"/entry", "-x", "other"}));
  options.entrypoint = "/mine";
  EXPECT_EQ(args_of(options, image), (Texts{"/mine", "other"}));
  options.command = {};
  EXPECT_EQ(args_of(options, image), (Texts{"/mine"}));
  options.entrypoint = "";
  options.command = {"bare"};
  EXPECT_EQ(args_of(options, image), (Texts{"bare"}));
}

TEST(RunOptionsTest, NothingToRunIsAnError) {
  const auto image = image_with({}, {});
  EXPECT_EQ(make_config(demo(), &image).error().code, Code::InvalidArgument);
}

TEST(RunOptionsTest, EnvironmentOfTheCommandLineWins) {
  const auto image = image_with({}, {"sh"});
  RunOptions options = demo();
  options.env = {"A=mine", "B=x=y"};
  const auto config = make_config(options, &image);
  EXPECT_EQ(config->env, (Texts{"PATH=/image/bin", "A=mine", "B=x=y"}));
  options.env = {"=x"};
  EXPECT_EQ(make_config(options, &image).error().code, Code::InvalidArgument);
}

TEST(RunOptionsTest, AHostCommandIsForTheProcessUnitOnly) {
  RunOptions options;
  options.command = {"true"};
  EXPECT_EQ(make_config(options, nullptr).error().code, Code::InvalidArgument);
  options.unit = "process";
  const auto config = make_config(options, nullptr);
  ASSERT_TRUE(config.has_value());
  EXPECT_TRUE(config->rootfs.empty());
  EXPECT_EQ(config->network, isolate::NetworkMode::Host);
}

TEST(RunOptionsTest, WhatIsNotThereYetIsRefused) {
  const auto image = image_with({}, {"sh"});
  RunOptions options = demo();
  options.publish = {"80:80"};
  EXPECT_EQ(make_config(options, &image).error().code, Code::Unimplemented);
  options = demo();
  options.network = "mynet";
  EXPECT_EQ(make_config(options, &image).error().code, Code::Unimplemented);
}

TEST(RunOptionsTest, ATapDeviceComesWithItsGuestsAddress) {
  const auto image = image_with({}, {"sh"});
  RunOptions options = demo();
  options.network = "tap:tap0,ip=192.0.2.2/24,gateway=192.0.2.1,dns=192.0.2.3,dns=192.0.2.4";
  const auto config = make_config(options, &image);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->network, isolate::NetworkMode::Tap);
  EXPECT_EQ(config->interface->tap, "tap0");
  EXPECT_EQ(config->interface->gateway, "192.0.2.1");
  EXPECT_EQ(config->interface->dns.size(), 2U);
  for (const char* text :
       {"tap:", "tap:x", "tap:,ip=192.0.2.2/24", "tap:x,ip=192.0.2.2", "tap:x,ip=192.0.2.2/24,dns=a"}) {
    options.network = text;
    EXPECT_EQ(make_config(options, &image).error().code, Code::InvalidArgument) << text;
  }
}

TEST(RunOptionsTest, ContradictionsAndNonsenseNameTheOption) {
  const auto image = image_with({}, {"sh"});
  const auto message = [&](auto change) {
    RunOptions options = demo();
    change(options);
    const auto config = make_config(options, &image);
    return config ? std::string() : config.error().message;
  };
  EXPECT_NE(message([](auto& o) {
              o.remove = true;
              o.restart = "always";
            }).find("--rm"),
            std::string::npos);
  EXPECT_NE(message([](auto& o) { o.workdir = "relative"; }).find("--workdir"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.memory = "lots"; }).find("--memory"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.restart = "sometimes"; }).find("--restart"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.name = "../x"; }).find("--name"), std::string::npos);
  EXPECT_NE(message([](auto& o) { o.volumes = {"named:/x"}; }).find("-v named:/x"), std::string::npos);
  EXPECT_EQ(message([](auto&) {}), "");
}

TEST(OptionPartsTest, Parses) {
  EXPECT_EQ(parse_volume("/:/mnt:ro")->destination, "/mnt");
  EXPECT_TRUE(parse_volume("/:/mnt:ro")->read_only);
  EXPECT_FALSE(parse_volume("/:mnt").has_value());
  EXPECT_EQ(parse_tmpfs("/t:size=1m")->tmpfs_size_bytes, 1U << 20);
  EXPECT_EQ(parse_ulimit("nofile=10:20")->hard, 20U);
  EXPECT_EQ(parse_ulimit("core=-1")->soft, UINT64_MAX);
  EXPECT_FALSE(parse_ulimit("nofile=20:10").has_value());
  EXPECT_EQ(parse_userns("0:100000:65536")->host_start, 100000U);
  EXPECT_FALSE(parse_userns("4294967295:2").has_value());
  EXPECT_EQ(parse_io_max("8:0:rbps=1m,wiops=5")->write_iops, 5U);
  EXPECT_FALSE(parse_io_max("8:0:fast=1").has_value());
  EXPECT_EQ(parse_device("/dev/null:/dev/x:r")->access, "r");
  EXPECT_FALSE(parse_device("/etc/passwd").has_value());
}

}  // namespace
}  // namespace berth::node

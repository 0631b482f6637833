#include "oci/run/criu.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "base/json_value.hpp"
#include "oci/spec/default_config.hpp"

namespace berth::oci {
namespace {

bool has(const std::vector<std::string>& words, const std::vector<std::string>& wanted) {
  return std::search(words.begin(), words.end(), wanted.begin(), wanted.end()) != words.end();
}

Spec spec_with_binds() {
  Json config = *parse_json(default_config({}), "config");
  config["process"]["terminal"] = false;
  config["mounts"].push_back({{"destination", "/data"}, {"source", "/host/data"}, {"options", {"rbind"}}});
  config["mounts"].push_back({{"destination", "/own"}, {"source", "own"}, {"options", {"bind"}}});
  return *Spec::parse(config.dump());
}

TEST(Criu, DumpNamesWhatIsNotTheContainers) {
  CriuOptions options{.program = "/sbin/criu", .image_dir = "/images", .tcp_established = true};
  State state;
  state.pid = 42;
  state.root = "/bundle/rootfs";
  const auto words = dump_command(options, {.leave_running = true}, spec_with_binds(), state, "/group");
  EXPECT_EQ(words[1], "dump");
  EXPECT_TRUE(has(words, {"--tree", "42"}));
  EXPECT_TRUE(has(words, {"--work-dir", "/images"}));
  EXPECT_TRUE(has(words, {"--external", "mnt[/data]:/data"}));
  EXPECT_TRUE(has(words, {"--freeze-cgroup", "/group"}));
  EXPECT_TRUE(has(words, {"--leave-running"}));
  EXPECT_TRUE(has(words, {"--tcp-established"}));
  EXPECT_FALSE(has(words, {"--track-mem"}));
  options.parent_dir = "../before";
  EXPECT_TRUE(
      has(dump_command(options, {}, spec_with_binds(), state, ""), {"--prev-images-dir", "../before"}));
  const auto before =
      dump_command(options, {.leave_running = true, .pre_dump = true}, spec_with_binds(), state, "");
  EXPECT_EQ(before[1], "pre-dump");
  EXPECT_TRUE(has(before, {"--track-mem"}));
  EXPECT_FALSE(has(before, {"--leave-running"}));
}

TEST(Criu, RestoreSaysWhereTheyAreNow) {
  const CriuOptions options{.program = "criu", .image_dir = "/images", .work_dir = "/work"};
  const auto words = restore_command(options, spec_with_binds(), "/bundle", "/root", "/pid",
                                     {"/dev/null", "pipe:[7]", "socket:[8]", "pipe:[9]"}, {});
  EXPECT_TRUE(has(words, {"--external", "mnt[/data]:/host/data"}));
  EXPECT_TRUE(has(words, {"--external", "mnt[/own]:/bundle/own"}));
  EXPECT_TRUE(has(words, {"--inherit-fd", "fd[1]:pipe:[7]"}));
  EXPECT_EQ(std::count(words.begin(), words.end(), "--inherit-fd"), 1);
  EXPECT_TRUE(has(words, {"--work-dir", "/work"}));
}

TEST(Criu, WhatItCannotMakeAgainIsRefused) {
  Spec spec = spec_with_binds();
  EXPECT_TRUE(check_criu_can(spec));
  spec.process.terminal = true;
  EXPECT_FALSE(check_criu_can(spec));
  spec.process.terminal = false;
  spec.platform.namespaces.list = {{CLONE_NEWIPC, "/run/ns/x"}};
  const auto checked = check_criu_can(spec);
  ASSERT_FALSE(checked);
  EXPECT_NE(checked.error().message.find("/run/ns/x"), std::string::npos);
}

TEST(Criu, ANetworkByPathStaysOutside) {
  Spec spec = spec_with_binds();
  spec.platform.namespaces.list = {{CLONE_NEWNET, "/proc/self/ns/net"}};
  EXPECT_TRUE(check_criu_can(spec));
  State state;
  state.pid = ::getpid();
  std::string inode = *sys::read_link("/proc/self/ns/net");
  std::erase(inode, ':');
  const CriuOptions options{.program = "criu", .image_dir = "/images"};
  EXPECT_TRUE(has(dump_command(options, {}, spec, state, ""), {"--external", inode + ":extRootNetNS"}));
  const auto opened = open_outside(spec);
  ASSERT_TRUE(opened);
  const std::string inherited = "fd[" + std::to_string(opened->front().fd.get()) + "]:extRootNetNS";
  EXPECT_TRUE(has(restore_command(options, spec, "/bundle", "/root", "/pid", {}, *opened),
                  {"--inherit-fd", inherited}));
  spec.platform.namespaces.list.front().path = "/proc/self/ns/uts";
  EXPECT_FALSE(open_outside(spec));
}

TEST(Criu, AProgramThatIsNotThere) {
  const auto found = find_criu("/absent/criu");
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("/absent/criu"), std::string::npos);
  EXPECT_TRUE(find_criu("sh")->ends_with("/sh"));
}

}  // namespace
}  // namespace berth::oci

#include "oci/run/criu.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>

#include "base/json_value.hpp"
#include "oci/spec/default_config.hpp"

namespace berth::oci {
namespace {

// A request's options as "FIELD=VALUE", with the field numbers of CRIU's rpc.proto.
std::vector<std::string> options_of(const CriuRequest& request) {
  const std::string bytes = request.bytes();
  std::string_view rest = bytes;
  std::string_view options;
  while (const auto field = *next_field(rest)) {
    if (field->id == 2) options = field->text;
  }
  std::vector<std::string> found;
  while (const auto field = *next_field(options)) {
    const std::string value = field->number ? std::to_string(*field->number) : std::string(field->text);
    found.push_back(std::to_string(field->id) + "=" + value);
  }
  return found;
}

bool has(const CriuRequest& request, const std::string& wanted) {
  const auto found = options_of(request);
  return std::count(found.begin(), found.end(), wanted) == 1;
}

bool has_field(const CriuRequest& request, int field) {
  const auto found = options_of(request);
  return std::any_of(found.begin(), found.end(), [&](const std::string& option) {
    return option.starts_with(std::to_string(field) + "=");
  });
}

// What options_of() tells of a descriptor that is inherited.
std::string inherited(const std::string& key, int fd) {
  ProtobufWriter entry;
  entry.text(1, key);
  entry.number(2, static_cast<std::uint64_t>(fd));
  return "27=" + entry.bytes();
}

CriuPlaces places() { return {*sys::open("/", O_RDONLY), *sys::open("/tmp", O_RDONLY)}; }

Spec spec_with_binds() {
  Json config = *parse_json(default_config({}), "config");
  config["process"]["terminal"] = false;
  config["mounts"].push_back({{"destination", "/data"}, {"source", "/host/data"}, {"options", {"rbind"}}});
  config["mounts"].push_back({{"destination", "/own"}, {"source", "own"}, {"options", {"bind"}}});
  return *Spec::parse(config.dump());
}

TEST(Criu, DumpNamesWhatIsNotTheContainers) {
  CriuOptions options{.image_dir = "/images", .tcp_established = true};
  const CriuPlaces open = places();
  State state;
  state.pid = 42;
  state.root = "/bundle/rootfs";
  const Spec spec = spec_with_binds();
  const auto request = dump_request(options, open, {.leave_running = true}, spec, state, "/group");
  EXPECT_EQ(request.call(), CriuCall::Dump);
  EXPECT_TRUE(has(request, "2=42"));
  EXPECT_TRUE(has(request, "1=" + std::to_string(open.images.get())));
  EXPECT_TRUE(has(request, "17=" + std::to_string(open.work.get())));
  EXPECT_TRUE(has(request, "37=mnt[/data]:/data"));
  EXPECT_TRUE(has(request, "44=/group"));
  EXPECT_TRUE(has(request, "3=1"));   // leave_running
  EXPECT_TRUE(has(request, "5=1"));   // tcp_established
  EXPECT_TRUE(has(request, "34=0"));  // manage_cgroups_mode: ignore
  EXPECT_FALSE(has_field(request, 15));
  EXPECT_FALSE(has_field(request, 50));
  EXPECT_EQ(log_path(options, kDumpLog), "/images/dump.log");
}

TEST(Criu, MaskedFilesComeFromOutside) {
  Spec spec = spec_with_binds();
  spec.platform.masked_paths = {"/proc/self/status", "/proc", "/absent"};
  State state;
  state.pid = ::getpid();
  const CriuOptions options{.image_dir = "/images"};
  const auto request = dump_request(options, places(), {}, spec, state, "");
  EXPECT_TRUE(has(request, "37=mnt[/proc/self/status]:/dev/null"));
  EXPECT_FALSE(has(request, "37=mnt[/proc]:/dev/null"));
  EXPECT_FALSE(has(request, "37=mnt[/absent]:/dev/null"));
  EXPECT_TRUE(has(restore_request(options, places(), spec, "/bundle", "/root", {}, {}),
                  "37=mnt[/dev/null]:/dev/null"));
}

TEST(Criu, DumpAfterAnEarlierOne) {
  CriuOptions options{.image_dir = "/images", .parent_dir = "../before"};
  const CriuPlaces open = places();
  const Spec spec = spec_with_binds();
  EXPECT_TRUE(has(dump_request(options, open, {}, spec, {}, ""), "14=../before"));
  options.parent_dir.clear();
  const auto before = dump_request(options, open, {.leave_running = true, .pre_dump = true}, spec, {}, "");
  EXPECT_EQ(before.call(), CriuCall::PreDump);
  EXPECT_TRUE(has(before, "15=1"));  // track_mem
  EXPECT_FALSE(has_field(before, 3));
}

TEST(Criu, RestoreSaysWhereTheyAreNow) {
  const CriuOptions options{.image_dir = "/images", .work_dir = "/work"};
  const auto request = restore_request(options, places(), spec_with_binds(), "/bundle", "/root",
                                       {"/dev/null", "pipe:[7]", "socket:[8]", "pipe:[9]"}, {});
  EXPECT_EQ(request.call(), CriuCall::Restore);
  EXPECT_TRUE(has(request, "13=/root"));
  EXPECT_TRUE(has(request, "26=1"));  // rst_sibling
  EXPECT_TRUE(has(request, "37=mnt[/data]:/host/data"));
  EXPECT_TRUE(has(request, "37=mnt[/own]:/bundle/own"));
  EXPECT_TRUE(has(request, inherited("pipe:[7]", 1)));
  EXPECT_FALSE(has(request, inherited("pipe:[9]", 3)));
  EXPECT_FALSE(has_field(request, 12));
  EXPECT_EQ(log_path(options, kRestoreLog), "/work/restore.log");
}

TEST(Criu, ATerminalIsHandedOver) {
  CriuOptions options{.image_dir = "/images"};
  Spec spec = spec_with_binds();
  spec.process.terminal = true;
  const CriuPlaces open = places();
  EXPECT_TRUE(has(dump_request(options, open, {}, spec, {}, ""), "50=1"));
  const auto request = restore_request(options, open, spec, "/bundle", "/root", {"/dev/pts/0"}, {});
  EXPECT_TRUE(has(request, "50=1"));
  EXPECT_TRUE(has(request, "12=1"));  // notify_scripts
  options.shell_job = true;           // CRIU would look for the one that it is on itself
  EXPECT_FALSE(has_field(dump_request(options, open, {}, spec, {}, ""), 7));
  spec.process.terminal = false;
  EXPECT_TRUE(has(dump_request(options, open, {}, spec, {}, ""), "7=1"));
}

TEST(Criu, WhatItCannotMakeAgainIsRefused) {
  Spec spec = spec_with_binds();
  EXPECT_TRUE(check_criu_can(spec));
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
  const CriuOptions options{.image_dir = "/images"};
  const CriuPlaces open = places();
  EXPECT_TRUE(has(dump_request(options, open, {}, spec, state, ""), "37=" + inode + ":extRootNetNS"));
  const auto opened = open_outside(spec);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(has(restore_request(options, open, spec, "/bundle", "/root", {}, *opened),
                  inherited("extRootNetNS", opened->front().fd.get())));
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

// The wire, against Debian's dbus-daemon; and systemd, where one runs (in the virtual machine of the
// conformance tests, or on the machine).
#include "sys/dbus.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/text.hpp"
#include "sys/systemd.hpp"

namespace berth::sys {
namespace {

class PrivateBus : public testing::Test {
 protected:
  void SetUp() override {
    if (!exists("/usr/bin/dbus-daemon")) GTEST_SKIP() << "no dbus-daemon (Debian's package dbus-daemon)";
    std::string pattern = testing::TempDir() + "berth-bus-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    const std::string address = "--address=unix:path=" + socket();
    daemon_ = ::fork();
    if (daemon_ == 0) {
      ::execl("/usr/bin/dbus-daemon", "dbus-daemon", "--session", "--nofork", "--nopidfile", address.c_str(),
              nullptr);
      ::_exit(127);
    }
    for (int i = 0; i < 500 && !exists(socket()); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  void TearDown() override {
    if (daemon_ > 0) {
      ::kill(daemon_, SIGKILL);
      ::waitpid(daemon_, nullptr, 0);
    }
    EXPECT_TRUE(directory_.empty() || remove_tree(directory_));
  }
  std::string socket() const { return directory_ + "/bus"; }
  static DBusMessage to_bus(const std::string& member) {
    DBusMessage message{
        .path = "/org/freedesktop/DBus", .interface = "org.freedesktop.DBus", .member = member};
    message.destination = "org.freedesktop.DBus";
    return message;
  }
  std::string directory_;
  pid_t daemon_ = -1;
};

TEST_F(PrivateBus, AnswersCallsAndRefusesOthers) {
  auto connection = DBusConnection::open(socket(), true);
  ASSERT_TRUE(connection) << connection.error().message;
  const auto id = connection->call(to_bus("GetId"));
  ASSERT_TRUE(id) << id.error().message;
  EXPECT_EQ(id->signature, "s");
  EXPECT_EQ(DBusReader(id->body).string()->size(), 32U);
  const auto refused = connection->call(to_bus("NoSuchMethod"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
  EXPECT_NE(refused.error().message.find("UnknownMethod"), std::string::npos) << refused.error().message;
}

TEST_F(PrivateBus, SignalsAreKeptWhileAReplyIsAwaited) {
  auto connection = DBusConnection::open(socket(), true);
  ASSERT_TRUE(connection) << connection.error().message;
  DBusMessage match = to_bus("AddMatch");
  match.signature = "s";
  DBusWriter rule;
  rule.string("type='signal',member='NameOwnerChanged'");
  match.body = rule.bytes();
  ASSERT_TRUE(connection->call(match));
  DBusMessage request = to_bus("RequestName");
  request.signature = "su";
  DBusWriter name;
  name.string("org.berth.Test");
  name.u32(0);
  request.body = name.bytes();
  ASSERT_TRUE(connection->call(request));
  ASSERT_TRUE(connection->call(to_bus("GetId")));  // the signal has come by now
  const auto changed = connection->wait_for_signal("NameOwnerChanged", [](const DBusMessage& signal) {
    return *DBusReader(signal.body).string() == "org.berth.Test";
  });
  ASSERT_TRUE(changed) << changed.error().message;
}

TEST(DBusMessage, WhatIsWrittenIsRead) {
  DBusMessage message{
      .type = DBusType::Signal, .serial = 7, .path = "/a/b", .interface = "c.d", .member = "E"};
  message.destination = ":1.2";
  message.signature = "sau";
  DBusWriter body;
  body.string("text");
  body.array(4, [&] { body.u32(5); });
  message.body = body.bytes();
  const std::string bytes = encode(message);
  EXPECT_EQ(*message_bytes(bytes), bytes.size());
  const auto read = decode(bytes);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->member, "E");
  EXPECT_EQ(read->serial, 7U);
  EXPECT_EQ(read->body, message.body);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(decode(bytes.substr(0, cut))) << cut;
}

TEST(Systemd, PathsOfSlicesAndScopes) {
  EXPECT_EQ(*systemd_slice_path("machine.slice"), "machine.slice");
  EXPECT_EQ(*systemd_slice_path("a-b-c.slice"), "a.slice/a-b.slice/a-b-c.slice");
  EXPECT_EQ(*systemd_slice_path("-.slice"), "");
  for (const char* name :
       {"", ".slice", "a--b.slice", "-a.slice", "a/b.slice", "a.scope", "a..slice/../x.slice"})
    EXPECT_FALSE(systemd_slice_path(name)) << name;
  const auto scope = parse_systemd_path("machine.slice:libpod:1234", false);
  ASSERT_TRUE(scope);
  EXPECT_EQ(scope->name, "libpod-1234.scope");
  EXPECT_EQ(parse_systemd_path("::x", false)->slice, "system.slice");
  EXPECT_EQ(parse_systemd_path("::x", true)->name, "x.scope");
  EXPECT_EQ(parse_systemd_path("a.slice:p:b.slice", false)->name, "b.slice");
  EXPECT_FALSE(parse_systemd_path("/a/b", false));
  EXPECT_FALSE(parse_systemd_path("a.slice:x:b/c", false));
}

TEST(Systemd, WhereNoneRunsItSaysSo) {
  if (exists("/run/systemd/private")) GTEST_SKIP() << "a systemd runs here";
  const auto systemd = Systemd::connect(false);
  ASSERT_FALSE(systemd);
  EXPECT_EQ(systemd.error().code, Code::FailedPrecondition);
  EXPECT_NE(systemd.error().message.find("cgroupfs manager"), std::string::npos) << systemd.error().message;
}

TEST(Systemd, MakesChangesAndEndsAScope) {
  if (!exists("/run/systemd/private") || ::geteuid() != 0)
    GTEST_SKIP() << "no systemd runs here, or not for us";
  auto systemd = Systemd::connect(false);
  ASSERT_TRUE(systemd) << systemd.error().message;
  const pid_t pid = ::fork();
  if (pid == 0) {
    for (;;) ::pause();
  }
  SystemdScope scope = *parse_systemd_path("berth-test.slice:unit:" + random_hex(8), false);
  scope.properties = {{"TasksMax", 17}, {"MemoryMax", 64 << 20}};
  const auto started = systemd->start_scope(scope, pid);
  ASSERT_TRUE(started) << started.error().message;
  const std::string group = *systemd_slice_path(scope.slice) + "/" + scope.name;
  EXPECT_EQ(*systemd->control_group(scope.name), "/" + group);
  const std::string directory = "/sys/fs/cgroup/" + group;
  EXPECT_EQ(trim(*read_file(directory + "/cgroup.procs")), std::to_string(pid));
  EXPECT_EQ(trim(*read_file(directory + "/pids.max")), "17");
  EXPECT_EQ(trim(*read_file(directory + "/memory.max")), "67108864");
  ASSERT_TRUE(systemd->set_properties(scope.name, {{"TasksMax", 23}}));
  EXPECT_EQ(trim(*read_file(directory + "/pids.max")), "23");
  const auto again = systemd->start_scope(scope, pid);
  EXPECT_FALSE(again);  // it exists
  const auto stopped = systemd->stop_unit(scope.name);
  EXPECT_TRUE(stopped) << stopped.error().message;
  ::waitpid(pid, nullptr, 0);
  EXPECT_FALSE(exists(directory));
  EXPECT_TRUE(systemd->stop_unit(scope.name));
}

}  // namespace
}  // namespace berth::sys

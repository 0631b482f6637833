// Launches real processes and containers; needs root and busybox (Debian's busybox-static).
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/text.hpp"
#include "isolate/cgroup.hpp"
#include "sys/process.hpp"
#include "unit/units.hpp"

namespace berth::unit {
namespace {

struct Outcome {
  int exit_code = -1;
  std::string output;
};

std::string unit_label(const testing::TestParamInfo<UnitKind>& kind) {
  return std::string(isolate::unit_name(kind.param));
}

class NativeUnitTest : public testing::TestWithParam<UnitKind> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: it starts containers";
    if (!sys::exists("/bin/busybox")) GTEST_SKIP() << "needs busybox-static";
    std::string pattern = testing::TempDir() + "berth-unit-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    paths_ = {directory_ + "/state", directory_ + "/run"};
    const std::string layer = directory_ + "/layer";
    for (const char* name : {"/state", "/run", "/layer/bin", "/layer/etc", "/layer/tmp"}) {
      ASSERT_TRUE(sys::make_dir(directory_ + name).has_value());
    }
    std::filesystem::copy_file("/bin/busybox", layer + "/bin/busybox");
    for (const char* applet :
         {"sh", "true", "id", "cat", "pwd", "env", "hostname", "ls", "kill", "sleep", "mount", "ps"}) {
      std::filesystem::create_symlink("busybox", layer + "/bin/" + applet);
    }
    ASSERT_TRUE(
        sys::replace_file(layer + "/etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:1234:55::/srv:/bin/sh\n"));
    config_.id = random_hex(64);
    config_.name = "t";
    config_.unit = GetParam();
    config_.rootfs.layers = {layer};
    config_.env = {"PATH=/bin", "COLOR=blue"};
    config_.network = is_container() ? isolate::NetworkMode::None : isolate::NetworkMode::Host;
  }

  void TearDown() override {
    if (directory_.empty()) return;
    EXPECT_TRUE(unit().cleanup(config_).has_value());
    EXPECT_TRUE(sys::remove_tree(directory_).has_value());
  }

  bool is_container() const { return GetParam() == UnitKind::Container; }
  Unit& unit() const { return unit_of(GetParam()); }

  Result<Outcome> run(const std::vector<std::string>& args) {
    config_.args = args;
    sys::Pipe pipe = TRY(sys::pipe());
    const sys::Fd null = TRY(sys::open("/dev/null", O_RDONLY));
    const Stdio stdio{{null.get(), pipe.write.get(), pipe.write.get()}, false};
    const Launched launched = TRY(unit().launch(config_, paths_, stdio));
    pipe.write.reset();
    Outcome outcome;
    outcome.output = TRY(sys::read_all(pipe.read.get()));
    outcome.exit_code = sys::exit_code_of(*TRY(sys::reap(launched.pid, true)));
    TRY(unit().cleanup(config_));
    return outcome;
  }

  std::string output_of(const std::string& script) {
    const auto outcome = run({"sh", "-c", script});
    if (!outcome) return "error: " + outcome.error().message;
    return outcome->output;
  }

  std::string directory_;
  isolate::InstancePaths paths_;
  UnitConfig config_;
};

TEST_P(NativeUnitTest, GivesOutputAndExitCode) {
  const auto outcome = run({"sh", "-c", "echo $COLOR; exit 7"});
  ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
  EXPECT_EQ(outcome->output, "blue\n");
  EXPECT_EQ(outcome->exit_code, 7);
  EXPECT_EQ(run({"sh", "-c", "sh -c 'kill -9 $$'; exit $?"})->exit_code, 137);
}

TEST_P(NativeUnitTest, TellsWhyAProgramDidNotStart) {
  EXPECT_EQ(run({"nonesuch"}).error().code, Code::NotFound);
  EXPECT_EQ(run({"/bin/nonesuch"}).error().sys_errno, ENOENT);
  EXPECT_EQ(run({"/etc/passwd"}).error().sys_errno, EACCES);
}

TEST_P(NativeUnitTest, RunsAsTheUserInTheDirectory) {
  config_.user = "web";
  config_.cwd = "/made/for/it";
  EXPECT_EQ(output_of("id -u; id -g; pwd; echo $HOME"), "1234\n55\n/made/for/it\n/srv\n");
}

TEST_P(NativeUnitTest, WritesStayOutOfTheLayer) {
  EXPECT_EQ(output_of("echo hi > /tmp/f; cat /tmp/f"), "hi\n");
  EXPECT_FALSE(sys::exists(directory_ + "/layer/tmp/f"));
  EXPECT_TRUE(sys::exists(directory_ + "/state/upper/tmp/f"));
}

TEST_P(NativeUnitTest, VolumesAndReadOnlyRoot) {
  ASSERT_TRUE(sys::make_dir(directory_ + "/shared").has_value());
  config_.rootfs.read_only = true;
  config_.volumes = {{directory_ + "/shared", "/v/w", false, false, 0},
                     {directory_ + "/shared", "/r", true, false, 0},
                     {"", "/t", false, true, 65536}};
  EXPECT_EQ(
      output_of("echo x > /v/w/f; cat /r/f; echo y 2>/dev/null > /r/g || echo ro; echo z > /t/z && cat /t/z;"
                "echo 2>/dev/null > /q || echo ro"),
      "x\nro\nz\nro\n");
}

TEST_P(NativeUnitTest, LeavesNothingBehind) {
  ASSERT_TRUE(run({"true"}).has_value());
  EXPECT_EQ(*isolate::find_cgroup(config_), nullptr);
  EXPECT_EQ(sys::read_file("/proc/self/mountinfo")->find(directory_), std::string::npos);
}

TEST_P(NativeUnitTest, ExecJoins) {
  config_.args = {"sleep", "1000"};
  const sys::Fd null = *sys::open("/dev/null", O_RDWR);
  const Stdio quiet{{null.get(), null.get(), null.get()}, false};
  const auto launched = unit().launch(config_, paths_, quiet);
  ASSERT_TRUE(launched.has_value()) << launched.error().message;
  const Running running{launched->pid, *sys::process_start_time(launched->pid)};
  sys::Pipe pipe = *sys::pipe();
  const ExecConfig exec{
      {"sh", "-c", "echo $COLOR $MORE $(id -u); ls /"}, {"MORE=1"}, "/tmp", "web", false, false};
  const auto joined =
      unit().exec(config_, paths_, running, exec, {{null.get(), pipe.write.get(), pipe.write.get()}, false});
  ASSERT_TRUE(joined.has_value()) << joined.error().message;
  pipe.write.reset();
  const std::string output = *sys::read_all(pipe.read.get());
  EXPECT_TRUE(output.starts_with("blue 1 1234\nbin\n")) << output;
  EXPECT_EQ(sys::exit_code_of(**sys::reap(joined->pid, true)), 0);
  EXPECT_FALSE(unit().exec(config_, paths_, {running.pid, 1}, exec, quiet).has_value());
  EXPECT_EQ(unit().pids(config_, running)->size(), 1U);
  ASSERT_TRUE(unit().cleanup(config_).has_value());
  EXPECT_EQ(sys::exit_code_of(**sys::reap(launched->pid, true)), 137);
}

TEST_P(NativeUnitTest, TerminalIsTheUnitsOwn) {
  config_.args = {"sh", "-c", "test -t 0 && test -t 1 && test -t 2 && cat"};
  config_.tty = true;
  const auto launched = unit().launch(config_, paths_, {{-1, -1, -1}, true});
  ASSERT_TRUE(launched.has_value()) << launched.error().message;
  ASSERT_TRUE(static_cast<bool>(launched->terminal));
  ASSERT_TRUE(sys::write_all(launched->terminal.get(), "hello\n\x04").has_value());
  EXPECT_EQ(sys::exit_code_of(**sys::reap(launched->pid, true)), 0);
  std::array<char, 64> buffer{};
  const auto count = sys::read_some(launched->terminal.get(), buffer);
  ASSERT_TRUE(count.has_value());
  EXPECT_TRUE(std::string_view(buffer.data(), *count).starts_with("hello\r\n"));
}

INSTANTIATE_TEST_SUITE_P(Units, NativeUnitTest, testing::Values(UnitKind::Process, UnitKind::Container),
                         unit_label);

using ContainerTest = NativeUnitTest;

TEST_P(ContainerTest, SeesOnlyItself) {
  config_.hostname = "boat";
  EXPECT_EQ(
      output_of(
          "hostname; echo $HOSTNAME; ls /proc >/tmp/seen; grep -c '^[0-9]' /tmp/seen; ls /sys/class/net; "
          "echo $$"),
      "boat\nboat\n2\nlo\n1\n");
}

TEST_P(ContainerTest, MasksAndCapabilities) {
  EXPECT_EQ(output_of("for f in kcore timer_list keys; do test -e /proc/$f && cat /proc/$f; done;"
                      "echo x 2>/dev/null >/proc/sys/kernel/panic || echo ro;"
                      "grep -E 'CapEff|CapBnd|NoNewPrivs|CapAmb' /proc/self/status"),
            "ro\nCapEff:\t00000000800405fb\nCapBnd:\t00000000800405fb\nCapAmb:\t0000000000000000\nNoNewPrivs:"
            "\t1\n");
}

TEST_P(ContainerTest, FiltersSystemCalls) {
  EXPECT_EQ(output_of("grep Seccomp: /proc/self/status; mount -t tmpfs x /tmp 2>/dev/null || echo refused"),
            "Seccomp:\t2\nrefused\n");
  config_.no_new_privileges = false;
  config_.user = "web";
  EXPECT_EQ(output_of("grep -E 'Seccomp:|NoNew' /proc/self/status"), "NoNewPrivs:\t0\nSeccomp:\t2\n");
  config_.seccomp = "unconfined";
  EXPECT_EQ(output_of("grep Seccomp: /proc/self/status"), "Seccomp:\t0\n");
}

TEST_P(ContainerTest, InitReapsAndPassesSignalsOn) {
  config_.init = true;
  EXPECT_EQ(output_of("echo $(( $$ > 1 )); cat /proc/1/cmdline | grep -c /"), "1\n0\n");
  EXPECT_EQ(run({"sh", "-c", "kill -TERM 1; sleep 10"})->exit_code, 143);
  EXPECT_EQ(run({"nonesuch"}).error().code, Code::NotFound);
}

TEST_P(ContainerTest, UserNamespaceShiftsUsers) {
  config_.userns = isolate::UserMapping{200000, 65536};
  EXPECT_EQ(output_of("id -u; cat /etc/passwd | grep -c web; echo a > /tmp/mine; cat /proc/self/uid_map"),
            "0\n1\n         0     200000      65536\n");
  EXPECT_EQ(sys::stat(directory_ + "/state/upper/tmp/mine")->st_uid, 200000U);
}

INSTANTIATE_TEST_SUITE_P(Units, ContainerTest, testing::Values(UnitKind::Container), unit_label);

}  // namespace
}  // namespace berth::unit

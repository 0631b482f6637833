// Real groups of this machine, with real processes in them: under v1 where it has v1's controllers, and on
// the v2 tree.
#include "sys/cgroup.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "base/text.hpp"
#include "sys/cgroup_v2.hpp"
#include "sys/fd.hpp"

namespace berth::sys {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A child that waits, does its work inside the group, and is killed at the end of the test.
class Child {
 public:
  explicit Child(std::function<int()> work) : go_(*pipe()) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    char byte = 0;
    go_.write.reset();
    static_cast<void>(::read(go_.read.get(), &byte, 1) + 1);
    ::_exit(work());
  }
  ~Child() {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  Child(Child&&) = delete;
  Child& operator=(Child&&) = delete;

  pid_t pid() const { return pid_; }
  void go() { go_.write.reset(); }
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return status;
  }

 private:
  Pipe go_;
  pid_t pid_ = -1;
};

int burn() {
  std::atomic<unsigned> rounds = 0;
  for (;;) ++rounds;
}
int sleep_on() {
  for (;;) ::pause();
}

class CgroupTest : public ::testing::TestWithParam<CgroupMode> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root makes control groups here";
    host_ = *CgroupHost::probe();
    const bool v2_tree = !host_.v2_base.empty();
    if (GetParam() == CgroupMode::V2 && !v2_tree)
      GTEST_SKIP() << "no cgroup v2 tree is mounted on this machine";
    if (GetParam() == CgroupMode::V1 && host_.v1.empty())
      GTEST_SKIP() << "this machine has no cgroup v1 controllers";
    host_.mode = GetParam();
    if (host_.mode == CgroupMode::V2) host_.v1.clear();
    if (!host_.writable) GTEST_SKIP() << host_.why_not("freezer");
  }
  void TearDown() override {
    if (group_) {
      EXPECT_TRUE(group_->kill_all());
    }
    for (const CgroupHost::Hierarchy& hierarchy : host_.v1) ::rmdir((hierarchy.base + "/berth-test").c_str());
    ::rmdir((host_.v2_base + "/berth-test").c_str());
  }
  Result<void> make(const Resources& resources = {}) {
    group_ = TRY(Cgroup::create(host_, path_, resources));
    return {};
  }
  bool offers(std::string_view controller) { return host_.why_not(controller).empty(); }
  std::string file(std::string_view name) {
    for (const std::string& directory : group_->directories()) {
      if (exists(directory + "/" + std::string(name)))
        return std::string(trim(*read_file(directory + "/" + std::string(name))));
    }
    return "absent";
  }

  CgroupHost host_;
  std::string path_ = "berth-test/" + random_hex(12);
  std::unique_ptr<Cgroup> group_;
};

#define MAKE(...)                              \
  do {                                         \
    const auto made = make(__VA_ARGS__);       \
    ASSERT_TRUE(made) << made.error().message; \
  } while (false)
#define OK(...)                                \
  do {                                         \
    const auto done = (__VA_ARGS__);           \
    ASSERT_TRUE(done) << done.error().message; \
  } while (false)

TEST_P(CgroupTest, LivesFromCreateToRemove) {
  MAKE();
  const std::vector<std::string> directories = group_->directories();
  ASSERT_FALSE(directories.empty());
  for (const std::string& directory : directories) EXPECT_TRUE(exists(directory)) << directory;
  EXPECT_TRUE(Cgroup::open(host_, path_));
  OK(group_->remove());
  for (const std::string& directory : directories) EXPECT_FALSE(exists(directory)) << directory;
  OK(group_->remove());
  OK(group_->kill_all());
  EXPECT_EQ(Cgroup::open(host_, path_).error().code, Code::NotFound);
}

TEST_P(CgroupTest, NamesCannotLeadOut) {
  for (const char* name : {"", "/", "a//b", "../x", "a/../../b", "."}) {
    const auto made = Cgroup::create(host_, name, {});
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().code, Code::InvalidArgument);
  }
}

TEST_P(CgroupTest, HoldsProcessesAndTheirChildren) {
  MAKE();
  Child parent([] {
    if (::fork() == 0) sleep_on();
    return sleep_on();
  });
  OK(group_->attach(parent.pid()));
  parent.go();
  for (int i = 0; i < 200 && group_->pids()->size() < 2; ++i) std::this_thread::sleep_for(milliseconds(5));
  const auto pids = group_->pids();
  EXPECT_EQ(pids->size(), 2U);
  EXPECT_NE(std::find(pids->begin(), pids->end(), parent.pid()), pids->end());
  EXPECT_EQ(group_->stats()->pids, 2U);
  EXPECT_EQ(group_->remove().error().code, Code::FailedPrecondition);  // processes are left in it
  OK(group_->kill_all());
  EXPECT_TRUE(WIFSIGNALED(parent.wait()));
}

TEST_P(CgroupTest, KillsAForkBombAndNestedGroups) {
  MAKE();
  if (offers("pids")) OK(group_->apply({.pids = 64}));
  const std::string below = group_->directories()[0] + "/inner";
  Child bomb([below] {
    ::mkdir(below.c_str(), 0755);
    static_cast<void>(write_file(below + "/cgroup.procs", "0"));
    for (int i = 0; i < 40; ++i) {
      if (::fork() == 0) sleep_on();
    }
    return sleep_on();
  });
  OK(group_->attach(bomb.pid()));
  bomb.go();
  for (int i = 0; i < 200 && group_->pids()->size() < 41; ++i) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ(group_->pids()->size(), 41U);
  EXPECT_TRUE(exists(below));
  OK(group_->kill_all());
  EXPECT_FALSE(exists(below));
  for (const std::string& directory : group_->directories()) EXPECT_FALSE(exists(directory));
}

TEST_P(CgroupTest, FreezesThawsAndKillsFrozen) {
  MAKE();
  Child busy(burn);
  OK(group_->attach(busy.pid()));
  busy.go();
  OK(group_->freeze(true));
  EXPECT_TRUE(*group_->frozen());
  const std::uint64_t before = group_->stats()->cpu_usage_us;
  std::this_thread::sleep_for(milliseconds(100));
  EXPECT_LT(group_->stats()->cpu_usage_us - before, 5000U);
  OK(group_->freeze(false));
  EXPECT_FALSE(*group_->frozen());
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_GT(group_->stats()->cpu_usage_us - before, 20000U);
  OK(group_->freeze(true));
  OK(group_->kill_all());
  EXPECT_EQ(WTERMSIG(busy.wait()), SIGKILL);
}

TEST_P(CgroupTest, AnotherProgramOfOursFindsItAgain) {
  MAKE();
  Child child(sleep_on);
  OK(group_->attach(child.pid()));
  auto again = Cgroup::open(host_, path_);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ((*again)->pids()->at(0), child.pid());
  OK((*again)->kill_all());
  EXPECT_TRUE(WIFSIGNALED(child.wait()));
}

TEST_P(CgroupTest, DevicesAreRefused) {
  MAKE();
  const auto opens = [](const char* path, int flags) {
    return [=] { return ::open(path, flags) >= 0 ? 0 : errno; };
  };
  const auto outcome = [&](const std::function<int()>& work) {
    Child child(work);
    EXPECT_TRUE(group_->attach(child.pid()));
    child.go();
    return WEXITSTATUS(child.wait());
  };
  EXPECT_EQ(outcome(opens("/dev/zero", O_RDONLY)), 0);
  OK(group_->set_devices({{.allow = false},
                          {.allow = true, .type = 'c', .major = 1, .minor = 3, .access = "rwm"},
                          {.allow = true, .type = 'c', .major = 1, .minor = 5, .access = "r"}}));
  EXPECT_EQ(outcome(opens("/dev/null", O_RDWR)), 0);
  EXPECT_EQ(outcome(opens("/dev/zero", O_RDONLY)), 0);
  EXPECT_EQ(outcome(opens("/dev/zero", O_RDWR)), EPERM);
  EXPECT_EQ(outcome(opens("/dev/urandom", O_RDONLY)), EPERM);
  const std::string node = "/tmp/berth-node-" + random_hex(8);
  const auto make_node = [node] {
    return ::mknod(node.c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0 ? 0 : errno;
  };
  EXPECT_EQ(outcome(make_node), EPERM);
  OK(group_->set_devices({{.allow = false}, {.allow = true, .type = 'c'}}));  // replaces, does not add
  EXPECT_EQ(outcome(make_node), 0);
  EXPECT_EQ(outcome(opens("/dev/urandom", O_RDONLY)), 0);
  ::unlink(node.c_str());
}

TEST_P(CgroupTest, LimitsReachTheKernel) {
  for (const char* controller : {"cpu", "memory", "pids"}) {
    if (!offers(controller)) GTEST_SKIP() << host_.why_not(controller);
  }
  MAKE({.cpus = 0.25, .cpu_weight = 300, .cpuset = "0", .memory_bytes = 64 << 20, .pids = 50});
  if (host_.mode == CgroupMode::V2) {
    EXPECT_EQ(file("cpu.max"), "25000 100000");
    EXPECT_EQ(file("cpu.weight"), "300");
    EXPECT_EQ(file("memory.max"), "67108864");
  } else {
    EXPECT_EQ(file("cpu.cfs_quota_us"), "25000");
    EXPECT_EQ(file("cpu.shares"), "3072");
    EXPECT_EQ(file("memory.limit_in_bytes"), "67108864");
  }
  EXPECT_EQ(file("cpuset.cpus"), "0");
  const auto stats = group_->stats();
  OK(stats);
  EXPECT_EQ(stats->memory_limit_bytes, 64U << 20);
  EXPECT_EQ(stats->pids_limit, 50U);
}

TEST_P(CgroupTest, QuotaHolds) {
  if (!offers("cpu")) GTEST_SKIP() << host_.why_not("cpu");
  MAKE({.cpus = 0.2});
  Child busy(burn);
  OK(group_->attach(busy.pid()));
  const auto start = steady_clock::now();
  busy.go();
  std::this_thread::sleep_for(milliseconds(1000));
  const auto stats = *group_->stats();
  const std::chrono::duration<double, std::micro> passed = steady_clock::now() - start;
  EXPECT_LT(static_cast<double>(stats.cpu_usage_us), passed.count() * 0.25);
  EXPECT_GT(stats.cpu_throttled_us, 0U);
}

TEST_P(CgroupTest, MemoryLimitKillsInsideOnly) {
  if (!offers("memory")) GTEST_SKIP() << host_.why_not("memory");
  MAKE({.memory_bytes = 8 << 20, .swap_bytes = 0});
  Child hungry([] {
    constexpr std::size_t kBytes = 64 << 20;
    void* memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (std::size_t i = 0; i < kBytes; i += 4096) static_cast<volatile char*>(memory)[i] = 1;
    return 0;
  });
  OK(group_->attach(hungry.pid()));
  hungry.go();
  EXPECT_EQ(WTERMSIG(hungry.wait()), SIGKILL);
  EXPECT_EQ(group_->stats()->oom_kills, 1U);
  EXPECT_GT(group_->stats()->memory_peak_bytes, 7U << 20);
}

TEST_P(CgroupTest, MemoryBelowUseIsRefused) {
  if (!offers("memory")) GTEST_SKIP() << host_.why_not("memory");
  MAKE({.memory_bytes = 64 << 20, .swap_bytes = 0});
  const Pipe ready = *pipe();
  Child holder([&] {
    constexpr std::size_t kBytes = 32 << 20;
    void* memory =
        ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    static_cast<void>(::write(ready.write.get(), &memory, 1) + 1);
    return sleep_on();
  });
  OK(group_->attach(holder.pid()));
  holder.go();
  char byte = 0;
  ASSERT_EQ(::read(ready.read.get(), &byte, 1), 1);
  const auto lowered = group_->apply({.memory_bytes = 4 << 20});
  ASSERT_FALSE(lowered);
  EXPECT_EQ(lowered.error().code, Code::FailedPrecondition) << lowered.error().message;
  EXPECT_NE(lowered.error().message.find("--memory"), std::string::npos);
  EXPECT_NE(lowered.error().message.find("in use"), std::string::npos) << lowered.error().message;
  EXPECT_EQ(group_->stats()->memory_limit_bytes, 64U << 20);
  OK(group_->apply({.memory_bytes = 128 << 20}));  // raised, though memory+swap stood at the old limit
  EXPECT_EQ(group_->stats()->memory_limit_bytes, 128U << 20);
  EXPECT_EQ(::kill(holder.pid(), 0), 0);
}

TEST_P(CgroupTest, PidsLimitHolds) {
  if (!offers("pids")) GTEST_SKIP() << host_.why_not("pids");
  MAKE({.pids = 3});
  Child forker([] {
    int made = 0;
    for (int i = 0; i < 10; ++i) {
      const pid_t pid = ::fork();
      if (pid == 0) sleep_on();
      if (pid > 0) ++made;
    }
    return made;
  });
  OK(group_->attach(forker.pid()));
  forker.go();
  EXPECT_EQ(WEXITSTATUS(forker.wait()), 2);
}

TEST_P(CgroupTest, ACpusetComesToALiveGroup) {
  if (!offers("cpuset")) GTEST_SKIP() << host_.why_not("cpuset");
  MAKE();
  Child busy(burn);
  OK(group_->attach(busy.pid()));
  busy.go();
  OK(group_->apply({.cpuset = "0"}));
  cpu_set_t set;
  ASSERT_EQ(::sched_getaffinity(busy.pid(), sizeof(set), &set), 0);
  EXPECT_EQ(CPU_COUNT(&set), 1);
  EXPECT_TRUE(CPU_ISSET(0, &set));
}

TEST_P(CgroupTest, FilesByName) {
  if (!offers("pids")) GTEST_SKIP() << host_.why_not("pids");
  MAKE();
  OK(group_->set({"linux.resources.pids.limit", "pids", "pids.max", "9"}));
  const auto read = group_->read("pids", "pids.max");
  OK(read);
  EXPECT_EQ(trim(read->value_or("absent")), "9");
  EXPECT_FALSE(group_->read("pids", "pids.no-such-file")->has_value());
  const auto refused = group_->set({"a field", "pids", "pids.no-such-file", "1"});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.starts_with("a field: ")) << refused.error().message;
  EXPECT_EQ(group_->set({"a field", "nothing", "nothing.max", "1"}).error().code, Code::FailedPrecondition);
}

TEST_P(CgroupTest, HandsItselfOverButNotItsLimits) {
  MAKE();
  const auto given = group_->delegate(1234, 2345);
  if (host_.mode != CgroupMode::V2) {
    EXPECT_EQ(given.error().code, Code::FailedPrecondition);
    return;
  }
  OK(given);
  const std::string directory = group_->directories()[0];
  EXPECT_EQ(stat(directory)->st_uid, 1234U);
  EXPECT_EQ(stat(directory + "/cgroup.procs")->st_gid, 2345U);
  EXPECT_EQ(stat(directory + "/cgroup.freeze")->st_uid, 0U);
}

TEST_P(CgroupTest, SignalsReachEachProcess) {
  MAKE();
  Child first(sleep_on);
  Child second(sleep_on);
  OK(group_->attach(first.pid()));
  OK(group_->attach(second.pid()));
  OK(group_->signal_all(SIGTERM));
  EXPECT_EQ(WTERMSIG(first.wait()), SIGTERM);
  EXPECT_EQ(WTERMSIG(second.wait()), SIGTERM);
}

TEST_P(CgroupTest, WhatCannotBeKeptIsRefusedAndLeavesNothing) {
  // Every controller gone from the description: as on a kernel that does not have them.
  for (CgroupHost::Hierarchy& hierarchy : host_.v1) {
    if (hierarchy.controllers[0] == "memory") hierarchy.controllers[0] = "gone";
  }
  host_.v2_controllers.clear();
  const auto made = Cgroup::create(host_, path_, {.memory_bytes = 64 << 20});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::FailedPrecondition);
  EXPECT_TRUE(made.error().message.starts_with("--memory: ")) << made.error().message;
  EXPECT_FALSE(Cgroup::open(host_, path_));
}

INSTANTIATE_TEST_SUITE_P(Versions, CgroupTest, ::testing::Values(CgroupMode::V1, CgroupMode::V2),
                         [](const auto& chosen) { return chosen.param == CgroupMode::V1 ? "V1" : "V2"; });

TEST(CgroupHost, ProbeTellsWhatIsMounted) {
  const auto host = CgroupHost::probe();
  ASSERT_TRUE(host) << host.error().message;
  for (const CgroupHost::Hierarchy& hierarchy : host->v1) {
    EXPECT_TRUE(exists(hierarchy.mount_point + "/cgroup.procs"));
    EXPECT_TRUE(hierarchy.own_path.starts_with("/"));
  }
  EXPECT_NE(host->why_not("hovercraft"), "");
}

TEST(CgroupHost, WithoutTheRightToMakeGroupsLimitsAreRefused) {
  CgroupHost host;
  host.mode = CgroupMode::V2;
  const auto made = Cgroup::create(host, "berth-test/x", {.pids = 5});
  ASSERT_FALSE(made);
  EXPECT_TRUE(made.error().message.starts_with("--pids: this user")) << made.error().message;
}

// One that counts for a whole group, not for single threads: only those move processes out of the way.
std::string domain_controller(const CgroupHost& host) {
  for (const char* name : {"memory", "io", "hugetlb", "rdma", "misc"}) {
    const auto& offered = host.v2_controllers;
    if (std::find(offered.begin(), offered.end(), name) != offered.end()) return name;
  }
  return "";
}

// A hybrid machine may leave a controller to v2, too: enough to see the rule against inner processes.
TEST(CgroupV2, ProcessesMakeWayForControllers) {
  const auto host = CgroupHost::probe();
  const std::string controller = domain_controller(*host);
  if (::geteuid() != 0 || host->v2_base.empty() || controller.empty()) {
    GTEST_SKIP() << "needs root and a cgroup v2 tree with at least one controller";
  }
  CgroupHost described = *host;
  described.mode = CgroupMode::V2;
  described.v1.clear();
  described.v2_controllers.clear();
  auto group = Cgroup::create(described, "berth-test/" + random_hex(12), {});
  ASSERT_TRUE(group) << group.error().message;
  const std::string directory = (*group)->directories()[0];
  Child child(sleep_on);
  ASSERT_TRUE((*group)->attach(child.pid()));
  ASSERT_TRUE(enable_controllers(host->v2_base, {controller}));
  ASSERT_TRUE(enable_controllers(host->v2_base + "/berth-test", {controller}));
  const auto enabled = enable_controllers(directory, {controller});
  EXPECT_TRUE(enabled) << enabled.error().message;
  EXPECT_EQ(trim(*read_file(directory + "/cgroup.subtree_control")), controller);
  const auto moved = read_file(directory + "/berth-host/cgroup.procs");
  ASSERT_TRUE(moved) << moved.error().message;
  EXPECT_EQ(trim(*moved), std::to_string(child.pid()));
  EXPECT_TRUE((*group)->kill_all());
  ::rmdir((host->v2_base + "/berth-test").c_str());
  static_cast<void>(write_file(host->v2_base + "/cgroup.subtree_control", "-" + controller));
}

}  // namespace
}  // namespace berth::sys

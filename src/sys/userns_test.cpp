#include "sys/userns.hpp"

#include <fmt/core.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>

#include "base/text.hpp"
#include "sys/fd.hpp"

namespace berth::sys {
namespace {

TEST(SubordinateIds, ByNameAndByNumber) {
  const std::string text = "alice:100000:65536\nbob:200000:65536\n1000:300000:10\n";
  EXPECT_EQ(parse_subordinate_ids(text, "alice", 1000),
            (std::vector<SubordinateRange>{{100000, 65536}, {300000, 10}}));
  EXPECT_EQ(parse_subordinate_ids(text, "", 1000), (std::vector<SubordinateRange>{{300000, 10}}));
  EXPECT_TRUE(parse_subordinate_ids(text, "carol", 7).empty());
}

TEST(SubordinateIds, LeavesOutWhatIsNotWellFormed) {
  for (const char* line :
       {"a:1", "a:x:5", "a:5:x", "a:5:0", "a:4294967295:1", "a:4294967290:6", "a:1:2:3", ":1:2", ""}) {
    EXPECT_TRUE(parse_subordinate_ids(line, "a", 1).empty()) << line;
  }
  EXPECT_EQ(parse_subordinate_ids("a:4294967290:5", "a", 1).size(), 1U);
}

constexpr uid_t kNobody = 65534;

// As the ordinary user "nobody" of a machine whose /etc/subuid and /etc/subgid say `ids`; the work's text
// comes back.
std::string as_nobody(const std::string& directory, const std::string& ids,
                      const std::function<std::string()>& work) {
  const Pipe answer = *pipe();
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string file = directory + "/ids";
    const bool ready =
        ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
        replace_file(file, ids) && ::mount(file.c_str(), "/etc/subuid", nullptr, MS_BIND, nullptr) == 0 &&
        ::mount(file.c_str(), "/etc/subgid", nullptr, MS_BIND, nullptr) == 0 &&
        ::setgroups(0, nullptr) == 0 && ::setresgid(kNobody, kNobody, kNobody) == 0 &&
        ::setresuid(kNobody, kNobody, kNobody) == 0 &&
        ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;  // as after an exec: /proc/self is its own
    static_cast<void>(write_all(answer.write.get(), ready ? work() : "the test cannot be set up"));
    ::_exit(0);
  }
  ::close(answer.write.get());
  static_cast<void>(const_cast<Pipe&>(answer).write.release());
  std::string text = *read_all(answer.read.get());
  ::waitpid(child, nullptr, 0);
  return text;
}

class Userns : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can become another ordinary user";
    if (!exists("/etc/subuid") || !exists("/etc/subgid")) GTEST_SKIP() << "this machine has no /etc/subuid";
    ASSERT_TRUE(make_dir(directory_, 0777));
    ASSERT_EQ(::chmod(directory_.c_str(), 0777), 0);
  }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory_)); }
  std::string record() const { return directory_ + "/run"; }
  std::string directory_ = "/tmp/berth-userns-" + random_hex(8);
};

std::string entered(const Result<Rootless>& result) {
  if (!result) return result.error().message;
  std::string words;
  for (const std::string& line : split(trim(*read_file("/proc/self/uid_map")), '\n')) {
    for (const std::string& word : split(line, ' ')) {
      if (!word.empty()) words += word + " ";
    }
    words += "| ";
  }
  return fmt::format("{}uid {} joined {} single {}", words, ::geteuid(), result->joined,
                     !result->single_user.empty());
}

TEST_F(Userns, RootStaysWhereItIs) {
  const auto result = enter_rootless(record());
  ASSERT_TRUE(result);
  EXPECT_FALSE(result->entered);
}

TEST_F(Userns, AllIdsOfTheUser) {
  if (!exists("/usr/bin/newuidmap")) GTEST_SKIP() << "newuidmap is not installed (package uidmap)";
  EXPECT_EQ(as_nobody(directory_, "nobody:500000:1000\n", [&] { return entered(enter_rootless(record())); }),
            "0 65534 1 | 1 500000 1000 | uid 0 joined false single false");
}

TEST_F(Userns, OnlyTheOwnIdWhereThereAreNoOthers) {
  EXPECT_EQ(as_nobody(directory_, "", [&] { return entered(enter_rootless(record())); }),
            "0 65534 1 | uid 0 joined false single true");
  EXPECT_NE(
      as_nobody(directory_, "", [&] { return enter_rootless(record())->single_user; }).find("/etc/subuid"),
      std::string::npos);
}

TEST_F(Userns, TheSecondJoinsTheFirstWhileItLives) {
  const auto own = [] { return *read_link("/proc/self/ns/user"); };
  const std::string told = as_nobody(directory_, "", [&]() -> std::string {
    const Pipe ready = *pipe();
    const pid_t first = ::fork();
    if (first == 0) {
      static_cast<void>(write_all(ready.write.get(), enter_rootless(record()) ? own() : "failed"));
      for (;;) ::pause();
    }
    std::array<char, 64> name{};
    const std::size_t size = *read_some(ready.read.get(), name);
    const pid_t second = ::fork();
    if (second == 0) {
      const auto result = enter_rootless(record());
      const bool same =
          result && result->joined && own() == std::string_view(name.data(), size) && ::geteuid() == 0;
      ::_exit(same ? 0 : 1);
    }
    int joined = 1;
    ::waitpid(second, &joined, 0);
    ::kill(first, SIGKILL);
    ::waitpid(first, nullptr, 0);
    const auto third = enter_rootless(record());  // nobody lives there any more
    return fmt::format("second {} third joined {}", joined, third && third->joined);
  });
  EXPECT_EQ(told, "second 0 third joined false");
}

TEST_F(Userns, MountsAreItsOwn) {
  const auto work = [&]() -> std::string {
    if (!enter_rootless(record())) return "not entered";
    if (::mount("none", directory_.c_str(), "tmpfs", 0, nullptr) != 0) return std::strerror(errno);
    return replace_file(directory_ + "/only-inside", "x") ? "mounted" : "cannot write";
  };
  EXPECT_EQ(as_nobody(directory_, "", work), "mounted");
  EXPECT_FALSE(exists(directory_ + "/only-inside"));
}

}  // namespace
}  // namespace berth::sys

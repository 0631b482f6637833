#include "sys/capability.hpp"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "sys/fd.hpp"

namespace berth::sys {
namespace {

constexpr CapabilityMask bit(unsigned n) { return capability_bit(n); }

TEST(Capability, NamesAndNumbers) {
  EXPECT_EQ(capability_number("CAP_NET_ADMIN"), 12U);
  EXPECT_EQ(capability_number("net_admin"), 12U);
  EXPECT_EQ(capability_number("cap_Chown"), 0U);
  EXPECT_EQ(capability_number("CHECKPOINT_RESTORE"), 40U);
  EXPECT_FALSE(capability_number("CAP_"));
  EXPECT_FALSE(capability_number("ALL"));
  EXPECT_EQ(capability_name(21), "CAP_SYS_ADMIN");
  EXPECT_EQ(capability_name(57), "CAP_57");
  EXPECT_EQ(capability_names(bit(0) | bit(40)),
            (std::vector<std::string>{"CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"}));
}

TEST(Capability, UnknownNameSaysWhichOption) {
  const auto parsed = parse_capability("NET_ADMINN", "--cap-drop");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, Code::InvalidArgument);
  EXPECT_NE(parsed.error().message.find("--cap-drop: no capability is called \"NET_ADMINN\""),
            std::string::npos);
}

TEST(Capability, LastIsTheKernelsOwn) {
  EXPECT_EQ(std::to_string(last_capability()) + "\n", *read_file("/proc/sys/kernel/cap_last_cap"));
  EXPECT_EQ(all_capabilities(), (bit(last_capability()) - 1) | bit(last_capability()));
}

TEST(Capability, Resolve) {
  const CapabilityMask all = all_capabilities();
  EXPECT_EQ(default_capabilities(), 0x800405fbU);  // what podman's containers show as CapBnd
  EXPECT_EQ(*resolve_capabilities({}, {}, false, all), default_capabilities());
  EXPECT_EQ(*resolve_capabilities({"net_raw"}, {"CHOWN"}, false, all),
            (default_capabilities() | bit(CAP_NET_RAW)) & ~bit(CAP_CHOWN));
  EXPECT_EQ(*resolve_capabilities({"KILL"}, {"all"}, false, all), bit(CAP_KILL));
  EXPECT_EQ(*resolve_capabilities({"ALL"}, {"CAP_SYS_ADMIN"}, false, all), all & ~bit(CAP_SYS_ADMIN));
  EXPECT_EQ(*resolve_capabilities({}, {}, true, all), all);
  EXPECT_EQ(*resolve_capabilities({}, {"ALL"}, true, all), 0U);
  EXPECT_EQ(*resolve_capabilities({}, {"MKNOD"}, true, all), all & ~bit(CAP_MKNOD));
}

TEST(Capability, ResolveNeverExceedsWhatIsHeld) {
  const CapabilityMask held = all_capabilities() & ~bit(CAP_SYS_RESOURCE) & ~bit(CAP_CHOWN);
  EXPECT_EQ(*resolve_capabilities({}, {}, true, held), held);
  EXPECT_EQ(*resolve_capabilities({}, {}, false, held), default_capabilities() & ~bit(CAP_CHOWN));
  const auto refused = resolve_capabilities({"SYS_RESOURCE"}, {}, false, held);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::FailedPrecondition);
  EXPECT_NE(refused.error().message.find("CAP_SYS_RESOURCE"), std::string::npos);
  EXPECT_EQ(resolve_capabilities({"KILL"}, {"cap_kill"}, false, held).error().code, Code::InvalidArgument);
}

// Runs `work` in a child, then reads the child's sets from outside while it waits.
template <typename Work>
Result<CapabilitySets> sets_of_child(Work work) {
  Pipe ready = TRY(pipe());
  Pipe done = TRY(pipe());
  const pid_t child = ::fork();
  if (child == 0) {
    const auto error = static_cast<char>(work());
    if (::write(ready.write.get(), &error, 1) != 1) ::_exit(1);
    char end = 0;
    ::close(done.write.get());
    static_cast<void>(::read(done.read.get(), &end, 1) + 1);
    ::_exit(0);
  }
  char error = -1;
  static_cast<void>(::read(ready.read.get(), &error, 1) + 1);
  auto sets = read_capabilities(child);
  done.write.reset();
  ::waitpid(child, nullptr, 0);
  if (error != 0) return fail_errno("the child cannot set its capabilities", error);
  return sets;
}

TEST(Capability, AppliesInAChild) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can limit the bounding set";
  const CapabilityMask wanted = default_capabilities() & held_capabilities();
  const auto sets = sets_of_child([&] { return apply_capabilities(CapabilitySets::of(wanted)); });
  ASSERT_TRUE(sets) << sets.error().message;
  EXPECT_EQ(sets->bounding, wanted);
  EXPECT_EQ(sets->effective, wanted);
  EXPECT_EQ(sets->permitted, wanted);
  EXPECT_EQ(sets->inheritable, 0U);
  EXPECT_EQ(sets->ambient, 0U);
}

TEST(Capability, AsksForNoMoreThanTheProcessHolds) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can limit the bounding set";
  const auto sets = sets_of_child([&] { return apply_capabilities(CapabilitySets::of(~CapabilityMask{0})); });
  ASSERT_TRUE(sets) << sets.error().message;
  EXPECT_EQ(sets->permitted, held_capabilities());
}

TEST(Capability, AmbientSurvivesTheChangeOfUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can change its user";
  const CapabilityMask wanted = bit(CAP_NET_BIND_SERVICE);
  const auto sets = sets_of_child([&]() -> int {
    if (const int error = limit_bounding_set(wanted); error != 0) return error;
    if (const int error = keep_capabilities_across_setuid(); error != 0) return error;
    if (::setresuid(65534, 65534, 65534) != 0) return errno;
    return set_capabilities({wanted, wanted, wanted, wanted, wanted});
  });
  ASSERT_TRUE(sets) << sets.error().message;
  EXPECT_EQ(sets->bounding, wanted);
  EXPECT_EQ(sets->effective, wanted);
  EXPECT_EQ(sets->ambient, wanted);
}

}  // namespace
}  // namespace berth::sys

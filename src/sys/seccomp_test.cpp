#include "sys/seccomp.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "base/text.hpp"
#include "sys/fd.hpp"

namespace berth::sys {
namespace {

SeccompProfile small_profile() {
  SeccompProfile profile;
  profile.fallback = {SeccompAction::Errno, EPERM};
  profile.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  profile.rules = {{{"read", "write", "exit_group"}, {SeccompAction::Allow, 0}, {}},
                   {{"clone"}, {SeccompAction::Allow, 0}, {{0, SeccompCompare::MaskedEqual, 0x7e020000, 0}}}};
  return profile;
}

class SeccompCache : public ::testing::Test {
 protected:
  void SetUp() override { directory_ = "/tmp/berth-seccomp-" + random_hex(8); }
  void TearDown() override { EXPECT_TRUE(remove_tree(directory_)); }
  std::string file() const { return directory_ + "/" + seccomp_cache_name(small_profile()); }
  std::string directory_;
};

TEST_F(SeccompCache, SecondTimeComesFromTheFile) {
  const auto first = cached_seccomp(small_profile(), directory_);
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE(exists(file()));
  const auto written = std::filesystem::last_write_time(file());
  const auto second = cached_seccomp(small_profile(), directory_);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->instructions, first->instructions);
  EXPECT_EQ(std::filesystem::last_write_time(file()), written);
}

TEST_F(SeccompCache, AnyDamageIsFound) {
  const auto good = cached_seccomp(small_profile(), directory_);
  ASSERT_TRUE(good);
  const std::string content = *read_file(file());
  for (std::size_t at = 0; at < content.size(); ++at) {
    std::string bad = content;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    ASSERT_TRUE(replace_file(file(), bad));
    const auto again = cached_seccomp(small_profile(), directory_);
    ASSERT_TRUE(again);
    ASSERT_EQ(again->instructions, good->instructions) << "byte " << at;
    ASSERT_EQ(*read_file(file()), content) << "byte " << at;  // and put right
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{7}, std::size_t{40}, content.size() - 8}) {
    ASSERT_TRUE(replace_file(file(), content.substr(0, size)));
    EXPECT_EQ(cached_seccomp(small_profile(), directory_)->instructions, good->instructions);
  }
}

TEST_F(SeccompCache, AnotherProfileInItsPlaceIsNotTaken) {
  SeccompProfile open = small_profile();
  open.fallback = {SeccompAction::Allow, 0};
  ASSERT_TRUE(cached_seccomp(open, directory_));
  const std::string other = *read_file(directory_ + "/" + seccomp_cache_name(open));
  ASSERT_TRUE(replace_file(file(), other));
  const auto program = cached_seccomp(small_profile(), directory_);
  EXPECT_EQ(program->instructions, compile_seccomp(small_profile())->instructions);
}

TEST_F(SeccompCache, WorksWhereNothingCanBeKept) {
  const auto program = cached_seccomp(small_profile(), "/proc/no-place");
  ASSERT_TRUE(program) << program.error().message;
  EXPECT_FALSE(program->instructions.empty());
}

TEST(Seccomp, CacheNamesDifferWithEachPart) {
  const std::string name = seccomp_cache_name(small_profile());
  SeccompProfile changed = small_profile();
  changed.rules[1].arguments[0].second = 1;
  EXPECT_NE(seccomp_cache_name(changed), name);
  changed = small_profile();
  changed.architectures.pop_back();
  EXPECT_NE(seccomp_cache_name(changed), name);
  changed = small_profile();
  changed.rules[0].names = {"read write", "exit_group"};
  EXPECT_NE(seccomp_cache_name(changed), name);
}

TEST(Seccomp, RefusalsOfLibseccompAreErrors) {
  SeccompProfile profile = small_profile();
  profile.architectures.emplace_back("SCMP_ARCH_PDP11");
  EXPECT_EQ(compile_seccomp(profile).error().code, Code::InvalidArgument);
  profile = small_profile();
  profile.rules[1].arguments[0].index = 9;
  const auto compiled = compile_seccomp(profile);
  ASSERT_FALSE(compiled);
  EXPECT_NE(compiled.error().message.find("clone"), std::string::npos);
}

// libseccomp's time grows with the square of the conditions on one call: thousands of them would take
// minutes.
TEST(Seccomp, TooManyConditionsAreRefusedAtOnce) {
  SeccompProfile profile = small_profile();
  for (std::uint64_t value = 0; value < 3000; ++value) {
    profile.rules.push_back(
        {{"ioctl"}, {SeccompAction::Allow, 0}, {{1, SeccompCompare::Equal, value << 32, 0}}});
  }
  const auto compiled = compile_seccomp(profile);
  ASSERT_FALSE(compiled);
  EXPECT_NE(compiled.error().message.find("conditions"), std::string::npos) << compiled.error().message;
}

}  // namespace
}  // namespace berth::sys

#include "sys/probe.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "sys/fd.hpp"

namespace berth::sys {
namespace {

TEST(Probe, HandsSuccessAndErrorsOfTheChildBack) {
  EXPECT_TRUE(try_in_child([]() -> Result<void> { return {}; }));
  const auto failed = try_in_child([]() -> Result<void> { return fail_errno("cannot open /x", ENOENT); });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::NotFound);
  EXPECT_EQ(failed.error().sys_errno, ENOENT);
  EXPECT_EQ(failed.error().message, "cannot open /x: No such file or directory");
}

TEST(Probe, SaysSoWhenTheChildDies) {
  const auto died = try_in_child([]() -> Result<void> { ::_exit(3); });
  ASSERT_FALSE(died);
  EXPECT_EQ(died.error().code, Code::Aborted);
}

TEST(Probe, ChangesNothingHere) {
  const auto before = read_link("/proc/self/ns/mnt");
  const auto mounts = read_file("/proc/self/mountinfo");
  const std::string directory =
      std::filesystem::temp_directory_path() / ("berth-probe-" + std::to_string(::getpid()));
  ASSERT_TRUE(make_dir(directory));
  static_cast<void>(probe_each_namespace());
  static_cast<void>(probe_user_namespace());
  static_cast<void>(probe_mount_api());
  static_cast<void>(probe_idmapped_mount(directory));
  for (const bool user_namespace : {false, true}) static_cast<void>(probe_overlay(directory, user_namespace));
  EXPECT_EQ(*read_link("/proc/self/ns/mnt"), *before);
  EXPECT_EQ(*read_file("/proc/self/mountinfo"), *mounts);
  EXPECT_TRUE(std::filesystem::is_empty(directory));
  EXPECT_TRUE(remove_tree(directory));
}

TEST(Probe, SeccompActs) {
  const auto seccomp = probe_seccomp();
  EXPECT_TRUE(seccomp) << seccomp.error().message;
}

TEST(Probe, AMissingDirectoryIsNamed) {
  const auto overlay = probe_overlay("/nonexistent", false);
  ASSERT_FALSE(overlay);
  EXPECT_NE(overlay.error().message.find("/nonexistent"), std::string::npos);
}

TEST(Probe, KvmNamesTheDeviceItLacks) {
  const auto kvm = probe_kvm();
  if (kvm) GTEST_SKIP() << "this machine has /dev/kvm";
  EXPECT_NE(kvm.error().message.find("/dev/kvm"), std::string::npos);
}

}  // namespace
}  // namespace berth::sys

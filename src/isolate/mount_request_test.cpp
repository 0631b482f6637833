// Real mounts in a mount namespace and root directory of their own.
#include "isolate/mount_request.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <functional>

#include "isolate/masks.hpp"
#include "isolate/mount_steps.hpp"

namespace berth::isolate {
namespace {

constexpr int kStepFailed = 200;  // and the errno goes to stderr

class MountRequestTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root mounts here";
    std::string pattern = "/dev/shm/berth-mounts-XXXXXX";  // a tmpfs: it can shift users
    directory_ = ::mkdtemp(pattern.data());
    for (const char* name : {"/root/dev", "/root/old/below", "/src/sub"})
      ASSERT_TRUE(sys::make_dir(directory_ + name));
    write(directory_ + "/src/file", "source");
    write(directory_ + "/root/old/kept", "kept");
    ASSERT_EQ(::mknod((directory_ + "/root/dev/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  }
  void TearDown() override { ASSERT_TRUE(directory_.empty() || sys::remove_tree(directory_)); }

  static void write(const std::string& path, const char* text) { ASSERT_TRUE(sys::replace_file(path, text)); }
  MountRequest request(const char* destination, const char* type, std::string source,
                       const std::vector<std::string>& words) {
    return {"mounts[0]", destination, type, std::move(source), *parse_mount_options(words, "options"),
            {},          {}};
  }

  // In a child: `outside` in a mount namespace where this is everything; then the plan's steps in its root
  // directory; then `inside`. What the last one gives.
  int run(const std::function<Result<void>(LaunchPlan&)>& outside, const std::function<int()>& inside) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(in_child(outside, inside));
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  int in_child(const std::function<Result<void>(LaunchPlan&)>& outside, const std::function<int()>& inside) {
    if (::unshare(CLONE_NEWNS) != 0 || sys::change_mount_at("/", true, 0, 0, MS_PRIVATE) != 0) return 201;
    LaunchPlan plan;
    const auto planned = outside(plan);
    if (!planned) {
      std::fprintf(stderr, "%s\n", planned.error().message.c_str());
      return 202;
    }
    const sys::Fd root = *clone_host_path(directory_ + "/root", true);
    if (sys::pivot_into(root.get()) != 0) return 203;
    for (const auto& step : plan.setup) {
      const int error = step->run({});
      if (error != 0) {
        std::fprintf(stderr, "%s: errno %d\n", step->what().c_str(), error);
        return error == EPERM || error == EINVAL || error == ELOOP ? error : kStepFailed;
      }
    }
    return inside();
  }
  int mount(MountRequest wanted, const std::function<int()>& inside) {
    return run([&](LaunchPlan& plan) { return add_mount(plan, wanted); }, inside);
  }

  std::string directory_;
};

int try_create(const char* path) {
  const sys::Fd made(::open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  return made ? 0 : errno;
}
int open_for_writing(const char* path) {
  const sys::Fd opened(::open(path, O_WRONLY | O_CLOEXEC));
  return opened ? 0 : errno;
}
// 0 where all hold, else the number of the first that does not.
int first_false(std::initializer_list<bool> conditions) {
  int number = 0;
  for (const bool condition : conditions) {
    ++number;
    if (!condition) return number;
  }
  return 0;
}

TEST_F(MountRequestTest, BindsFilesAndDirectoriesWithTheirAttributes) {
  EXPECT_EQ(mount(request("/new/place", "bind", directory_ + "/src", {"ro", "nosuid"}),
                  [] {
                    return first_false({*sys::read_file("/new/place/file") == "source",
                                        open_for_writing("/new/place/file") == EROFS});
                  }),
            0);
  EXPECT_EQ(
      mount(request("/etc/one", "none", directory_ + "/src/file", {"bind", "noexec"}),
            [] {
              return first_false({*sys::read_file("/etc/one") == "source", open_for_writing("/etc/one") == 0,
                                  ::execl("/etc/one", "one", nullptr) != 0});
            }),
      0);
}

TEST_F(MountRequestTest, RecursiveAttributesReachMountsBelow) {
  const auto below = [&](const std::vector<std::string>& words) {
    return run(
        [&](LaunchPlan& plan) -> Result<void> {
          const sys::Fd tmpfs = TRY(sys::make_mount("tmpfs", {}, 0));
          const sys::Fd place = TRY(sys::open(directory_ + "/src/sub", O_PATH));
          if (sys::attach_mount(tmpfs.get(), place.get()) != 0) return fail_errno("attach");
          return add_mount(plan, request("/data", "bind", directory_ + "/src", words));
        },
        [] { return try_create("/data/sub/made"); });
  };
  EXPECT_EQ(below({"rbind", "ro"}), 0);
  EXPECT_EQ(below({"rbind", "rro"}), EROFS);
  EXPECT_EQ(below({"rbind", "rro", "rrw"}), 0);
  EXPECT_EQ(below({"bind", "rw"}), 0);  // the tmpfs is not there: the directory below it
}

TEST_F(MountRequestTest, UsersAreShiftedAsMapped) {
  ASSERT_EQ(::chown((directory_ + "/src/file").c_str(), 1007, 1009), 0);
  MountRequest wanted = request("/data", "bind", directory_ + "/src", {"rbind", "ridmap"});
  wanted.users = {{0, 0, 1}, {1007, 4000, 1}};
  wanted.groups = {{0, 0, 1}, {1009, 5000, 1}};
  EXPECT_EQ(
      mount(
          wanted,
          [] {
            const auto info = sys::stat("/data/file");
            return first_false({info->st_uid == 4000, info->st_gid == 5000, sys::stat("/data")->st_uid == 0});
          }),
      0);
  wanted.users.clear();
  LaunchPlan plan;
  const auto refused = add_mount(plan, wanted);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.starts_with("mounts[0]: idmap without")) << refused.error().message;
}

TEST_F(MountRequestTest, ALabelNeedsSeLinux) {
  if (sys::exists("/sys/fs/selinux/enforce")) GTEST_SKIP() << "this kernel has SELinux";
  MountRequest wanted = request("/t", "tmpfs", "tmpfs", {});
  wanted.label = "system_u:object_r:container_file_t:s0";
  LaunchPlan plan;
  const auto refused = add_mount(plan, wanted);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.starts_with("linux.mountLabel: this kernel"))
      << refused.error().message;
  wanted = request("/data", "bind", directory_ + "/src", {"rbind"});
  wanted.label = "system_u:object_r:container_file_t:s0";
  EXPECT_TRUE(add_mount(plan, wanted));
}

TEST_F(MountRequestTest, ATmpfsCanStartWithWhatItCovers) {
  EXPECT_EQ(mount(request("/old", "tmpfs", "tmpfs", {"tmpcopyup", "ro", "size=1m", "nodev"}),
                  [] {
                    return first_false({*sys::read_file("/old/kept") == "kept", try_create("/old/x") == EROFS,
                                        sys::exists("/old/below")});
                  }),
            0);
  EXPECT_TRUE(sys::exists(directory_ + "/root/old/kept"));
}

TEST_F(MountRequestTest, ExistingMountsAreChanged) {
  const auto changed = [&](const std::vector<std::string>& words) {
    return run(
        [&](LaunchPlan& plan) -> Result<void> {
          TRY(add_mount(plan, request("/t", "tmpfs", "", {"size=64k"})));
          return add_mount(plan, request("/t", "tmpfs", "", words));
        },
        [] { return sys::replace_file("/t/f", std::string(100000, 'x')) ? 0 : errno; });
  };
  EXPECT_EQ(changed({"remount", "nosuid"}), ENOSPC);
  EXPECT_EQ(changed({"remount", "size=1m"}), 0);
  EXPECT_EQ(changed({"remount", "bind", "ro"}), EROFS);
}

TEST_F(MountRequestTest, OverlayTakesMoreLayersThanOneOptionHolds) {
  std::string lower;
  for (int i = 0; i < 12; ++i) {
    const std::string layer = directory_ + "/layers/number-" + std::to_string(i);
    ASSERT_TRUE(sys::make_dir(layer));
    write(layer + "/f" + std::to_string(i), "x");
    lower += (i == 0 ? "" : ":") + layer;
  }
  EXPECT_EQ(mount(request("/merged", "overlay", "overlay", {"lowerdir=" + lower, "ro"}),
                  [] {
                    return first_false({sys::exists("/merged/f0"), sys::exists("/merged/f11")});
                  }),
            0);
}

// A peer of the host's mount would take mounts there: a private copy does not, a shared one must.
TEST_F(MountRequestTest, PropagationIsAsAskedFor) {
  const auto sees = [&](const std::vector<std::string>& words) {
    int host_side = -1;
    return run(
        [&](LaunchPlan& plan) -> Result<void> {
          const sys::Fd tmpfs = TRY(sys::make_mount("tmpfs", {}, 0));
          const sys::Fd place = TRY(sys::open(directory_ + "/src", O_PATH));
          if (sys::attach_mount(tmpfs.get(), place.get()) != 0) return fail_errno("attach");
          TRY(sys::make_dir(directory_ + "/src/sub"));
          if (sys::change_mount(tmpfs.get(), false, 0, 0, MS_SHARED) != 0) return fail_errno("share");
          host_side = TRY(sys::open(directory_ + "/src", O_PATH)).release();
          return add_mount(plan, request("/data", "bind", directory_ + "/src", words));
        },
        [&] {
          // From inside: does it reach the host's side?
          if (::mount("tmpfs", "/data/sub", "tmpfs", 0, nullptr) != 0 || try_create("/data/sub/inner") != 0)
            return 99;
          const bool out = ::faccessat(host_side, "sub/inner", F_OK, 0) == 0;
          if (::umount("/data/sub") != 0) return 98;
          // And from the host's side in.
          if (::fchdir(host_side) != 0 || ::mount("tmpfs", "sub", "tmpfs", 0, nullptr) != 0) return 97;
          if (try_create("sub/outer") != 0) return 96;
          const bool in = sys::exists("/data/sub/outer");
          return (out ? 1 : 0) + (in ? 2 : 0);
        });
  };
  EXPECT_EQ(sees({"rbind"}), 0);
  EXPECT_EQ(sees({"rbind", "rprivate"}), 0);
  EXPECT_EQ(sees({"rbind", "rslave"}), 2);
  EXPECT_EQ(sees({"rbind", "rshared"}), 3);
}

TEST_F(MountRequestTest, OfProcOnlyFiguresMayBeCovered) {
  const auto over = [&](const char* path) {
    return run(
        [&](LaunchPlan& plan) -> Result<void> {
          TRY(add_mount(plan, request("/proc", "proc", "proc", {})));
          return add_mount(plan, request(path, "bind", directory_ + "/src/file", {"rbind"}));
        },
        [path] { return *sys::read_file(path) == "source" ? 0 : 1; });
  };
  EXPECT_EQ(over("/proc/meminfo"), 0);
  EXPECT_EQ(over("/proc/self/attr/exec"), EPERM);
  EXPECT_EQ(over("/proc/sys/kernel"), EPERM);
  EXPECT_EQ(over("/proc/self/fd/0"), ELOOP);
}

// An image that answers /proc with a link to somewhere else.
TEST_F(MountRequestTest, ProcAndSysGoToNoSymlink) {
  ASSERT_EQ(::symlink("/old", (directory_ + "/root/proc").c_str()), 0);
  EXPECT_EQ(mount(request("/proc", "proc", "proc", {}), [] { return 0; }), ELOOP);
}

TEST_F(MountRequestTest, MaskedPathsHideAndReadOnlyOnesHold) {
  write(directory_ + "/root/old/secret", "secret");
  const auto masks = [&](const std::function<int()>& inside) {
    return run(
        [&](LaunchPlan& plan) -> Result<void> {
          mask_path(plan, "/old/secret");
          mask_path(plan, "/old/below");
          mask_path(plan, "/absent/path");
          make_path_read_only(plan, "/old");
          return {};
        },
        inside);
  };
  EXPECT_EQ(masks([] {
              return first_false({sys::read_file("/old/secret")->empty(), try_create("/old/below/x") == EROFS,
                                  try_create("/old/x") == EROFS, *sys::read_file("/old/kept") == "kept"});
            }),
            0);
  ASSERT_EQ(::unlink((directory_ + "/root/dev/null").c_str()), 0);
  ASSERT_EQ(::symlink("/old/kept", (directory_ + "/root/dev/null").c_str()), 0);
  EXPECT_EQ(masks([] { return 0; }), EINVAL);
}

}  // namespace
}  // namespace berth::isolate

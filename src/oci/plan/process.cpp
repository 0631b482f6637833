// Who a container's process is and what it may do: the same for the first one and for `exec`.
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.hpp"
#include "isolate/identity.hpp"
#include "isolate/kernel_settings.hpp"
#include "isolate/process_attributes.hpp"
#include "isolate/seccomp.hpp"
#include "oci/plan/context.hpp"
#include "oci/plan/supervisor.hpp"
#include "sys/process_attributes.hpp"

namespace berth::oci {
namespace {

// Lowering the score takes CAP_SYS_RESOURCE: where that lacks, the machine's own choice stays.
Result<void> set_oom_score(pid_t pid, int score) {
  auto written = sys::set_oom_score_adjustment(pid, score);
  if (written || written.error().code != Code::PermissionDenied) return written;
  log::warn("process.oomScoreAdj: {} takes CAP_SYS_RESOURCE, which this machine does not give; ignored",
            score);
  return {};
}

// The program opens its standard streams by /dev/stdout and the like as its own user.
int own_standard_streams(uid_t uid) noexcept {
  for (int fd = 0; fd < 3; ++fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) continue;
    if (info.st_uid == uid || S_ISCHR(info.st_mode)) continue;  // /dev/null is everybody's
    if (::fchown(fd, uid, static_cast<gid_t>(-1)) == 0) continue;
    // On a read-only file system, or a file of a user who is not known in here.
    if (errno != EINVAL && errno != EPERM && errno != EROFS) return errno;
  }
  return 0;
}

}  // namespace

Result<void> plan_process(const ProcessOf& wanted, isolate::LaunchPlan& plan) {
  const Process& process = wanted.process;
  plan.args = process.args;
  plan.env = process.env;
  plan.credentials.uid = process.uid;
  plan.credentials.gid = process.gid;
  plan.credentials.groups = process.additional_gids;
  if (process.attributes.oom_score_adj) {
    plan.ask("set process.oomScoreAdj",
             [score = *process.attributes.oom_score_adj](const isolate::ChildAtStep& child) {
               return set_oom_score(child.pid, score);
             });
  }
  isolate::add_process_attributes(plan, process.attributes);
  for (const isolate::Rlimit& limit : process.rlimits) {
    TRY(isolate::add_rlimit(plan, limit, "process.rlimits"));
  }
  if (process.uid != 0) {
    plan.finally("own the standard streams",
                 [uid = process.uid]() noexcept { return own_standard_streams(uid); });
  }
  isolate::enter_working_directory(plan, process.cwd);
  isolate::add_umask(plan, process.umask);
  isolate::add_identity(plan, process.capabilities.value_or(sys::CapabilitySets{}));
  if (process.no_new_privileges) isolate::add_no_new_privileges(plan);
  if (const auto& profile = wanted.seccomp) {
    TRY(isolate::add_filter(plan, *profile, process.no_new_privileges,
                            tell_supervisor(*profile, wanted.state, wanted.status)));
  }
  return {};
}

}  // namespace berth::oci

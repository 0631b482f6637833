#include "sys/kvm.hpp"

#include <fmt/core.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace berth::sys {

Result<Fd> open_kvm() {
  Fd kvm = TRY(open("/dev/kvm", O_RDWR));
  const int version = TRY(kvm_call(kvm.get(), KVM_GET_API_VERSION, 0UL, "KVM_GET_API_VERSION"));
  if (version != KVM_API_VERSION)
    return fail(Code::FailedPrecondition,
                fmt::format("/dev/kvm: version {} of its interface is not 12", version));
  return kvm;
}

Result<int> kvm_call(int fd, unsigned long request, void* argument, const char* name) {
  const int result = ::ioctl(fd, request, argument);
  if (result < 0) return fail_errno(name);
  return result;
}

Result<int> kvm_call(int fd, unsigned long request, unsigned long argument, const char* name) {
  const int result = ::ioctl(fd, request, argument);
  if (result < 0) return fail_errno(name);
  return result;
}

int kvm_run(int vcpu) noexcept { return ::ioctl(vcpu, KVM_RUN, 0) < 0 ? errno : 0; }

void prepare_kick_signal() {
  static const bool installed = [] {
    struct ::sigaction action {};
    action.sa_handler = [](int) {};
    return ::sigaction(SIGRTMIN, &action, nullptr) == 0;
  }();
  BERTH_ASSERT(installed);
}

void send_kick_signal(int thread) noexcept { ::syscall(SYS_tgkill, ::getpid(), thread, SIGRTMIN); }

int this_thread() noexcept { return static_cast<int>(::syscall(SYS_gettid)); }

}  // namespace berth::sys

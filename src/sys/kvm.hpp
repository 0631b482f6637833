// The kernel's virtual machines (Documentation/virt/kvm/api.rst): its ioctls, with errors that name them.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

// FailedPrecondition or the open's error where this machine has no usable /dev/kvm.
Result<Fd> open_kvm();

// One ioctl on a system, machine or processor descriptor; `name` is the request's ("KVM_RUN").
Result<int> kvm_call(int fd, unsigned long request, void* argument, const char* name);
Result<int> kvm_call(int fd, unsigned long request, unsigned long argument, const char* name);

// KVM_RUN: 0, or the errno (EINTR after a signal or with immediate_exit set).
int kvm_run(int vcpu) noexcept;

// A signal that only interrupts KVM_RUN. Installs an empty handler for it in this process, once.
void prepare_kick_signal();
// Sends it to a thread of this process, as gettid(2) numbers it.
void send_kick_signal(int thread) noexcept;
int this_thread() noexcept;

}  // namespace berth::sys

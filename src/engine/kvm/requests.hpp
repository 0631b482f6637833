// Requests whose arguments end in an array. Their numbers hold the argument's size, which the kernel's
// headers get wrong in C++ (an empty struct is a byte long there); so they are made anew.
#pragma once

#include <linux/kvm.h>

namespace berth::engine::kvm {

inline constexpr unsigned long kHeadBytes = 8;  // a count and four bytes of padding
inline constexpr unsigned long kGetSupportedCpuid = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x05, kHeadBytes);
inline constexpr unsigned long kGetMsrs = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x88, kHeadBytes);
inline constexpr unsigned long kSetMsrs = _IOC(_IOC_WRITE, KVMIO, 0x89, kHeadBytes);
inline constexpr unsigned long kSetCpuid2 = _IOC(_IOC_WRITE, KVMIO, 0x90, kHeadBytes);

inline constexpr unsigned long kXsaveAreaBytes = 4096;
inline constexpr unsigned long kGetXsave = _IOC(_IOC_READ, KVMIO, 0xa4, kXsaveAreaBytes);
inline constexpr unsigned long kSetXsave = _IOC(_IOC_WRITE, KVMIO, 0xa5, kXsaveAreaBytes);

}  // namespace berth::engine::kvm

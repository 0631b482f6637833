// The bits of the control registers, of RFLAGS and of descriptors, and the numbers of the architectural MSRs,
// as Intel's SDM volumes 3 and 4 and AMD's APM volume 2 number them.
#pragma once

#include <cstdint>

namespace berth::x86 {

namespace cr0 {
inline constexpr std::uint64_t kPe = 1u << 0, kMp = 1u << 1, kEm = 1u << 2, kTs = 1u << 3, kEt = 1u << 4,
                               kNe = 1u << 5, kWp = 1u << 16, kAm = 1u << 18, kNw = 1u << 29, kCd = 1u << 30,
                               kPg = 1u << 31;
}  // namespace cr0

namespace cr4 {
inline constexpr std::uint64_t kVme = 1u << 0, kPvi = 1u << 1, kTsd = 1u << 2, kDe = 1u << 3, kPse = 1u << 4,
                               kPae = 1u << 5, kMce = 1u << 6, kPge = 1u << 7, kPce = 1u << 8,
                               kOsfxsr = 1u << 9, kOsxmmexcpt = 1u << 10, kUmip = 1u << 11,
                               kFsgsbase = 1u << 16, kPcide = 1u << 17, kOsxsave = 1u << 18, kSmep = 1u << 20,
                               kSmap = 1u << 21;
}  // namespace cr4

namespace efer {
inline constexpr std::uint64_t kSce = 1u << 0, kLme = 1u << 8, kLma = 1u << 10, kNxe = 1u << 11,
                               kFfxsr = 1u << 14;
}  // namespace efer

namespace rflags {
inline constexpr std::uint64_t kCf = 1u << 0, kOne = 1u << 1, kPf = 1u << 2, kAf = 1u << 4, kZf = 1u << 6,
                               kSf = 1u << 7, kTf = 1u << 8, kIf = 1u << 9, kDf = 1u << 10, kOf = 1u << 11,
                               kIopl = 3u << 12, kNt = 1u << 14, kRf = 1u << 16, kVm = 1u << 17,
                               kAc = 1u << 18, kVif = 1u << 19, kVip = 1u << 20, kId = 1u << 21;
inline constexpr std::uint64_t kArithmetic = kCf | kPf | kAf | kZf | kSf | kOf;
}  // namespace rflags

// Segment::attributes, see cpu_state.hpp.
namespace attribute {
inline constexpr std::uint16_t kType = 0xf, kAccessed = 1, kWritable = 2, kReadable = 2, kExpandDown = 4,
                               kConforming = 4, kCode = 8, kCodeOrData = 1 << 4, kDpl = 3 << 5,
                               kPresent = 1 << 7, kLong = 1 << 9, kBig = 1 << 10, kGranular = 1 << 11;
}  // namespace attribute

namespace dr6 {
inline constexpr std::uint64_t kBd = 1u << 13, kBs = 1u << 14, kBt = 1u << 15, kFixed = 0xffff0ff0;
}  // namespace dr6
namespace dr7 {
inline constexpr std::uint64_t kEnables = 0xff, kGd = 1u << 13, kFixed = 0x400;
}  // namespace dr7

namespace msr {
inline constexpr std::uint32_t kTsc = 0x10, kApicBase = 0x1b, kSysenterCs = 0x174, kSysenterEsp = 0x175,
                               kSysenterEip = 0x176, kPat = 0x277, kXss = 0xda0, kEfer = 0xc0000080,
                               kStar = 0xc0000081, kLstar = 0xc0000082, kCstar = 0xc0000083,
                               kSfmask = 0xc0000084, kFsBase = 0xc0000100, kGsBase = 0xc0000101,
                               kKernelGsBase = 0xc0000102, kTscAux = 0xc0000103;
}  // namespace msr

// The physical address width of every guest processor; CPUID 0x80000008 says the same.
inline constexpr unsigned kPhysicalBits = 46;

constexpr bool is_canonical(std::uint64_t address) {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(address << 16) >> 16) == address;
}

}  // namespace berth::x86

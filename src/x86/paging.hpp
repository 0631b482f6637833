// The walk of the page tables in all three formats: 32-bit, PAE and 4-level (SDM vol. 3, chapter 4). It sets
// accessed and dirty bits as the processor does, by compare and exchange. Memory is whatever type gives these
// three:
//
//   std::uint64_t read_entry(std::uint64_t physical, unsigned bytes);
//   bool exchange_entry(std::uint64_t physical, unsigned bytes, std::uint64_t expected, std::uint64_t
//   desired);
#pragma once

#include <cstdint>

#include "x86/bits.hpp"

namespace berth::x86 {

enum class Access : std::uint8_t { Read, Write, Execute };

struct PagingContext {
  std::uint64_t cr0 = 0, cr3 = 0, cr4 = 0, efer = 0;
  bool user = false;       // at CPL 3, and not an implicit access to a system structure
  bool smap_holds = true;  // EFLAGS.AC is clear, or the access is implicit
};

struct Translation {
  std::uint64_t physical = 0;  // of the byte asked for
  std::uint8_t page_shift = 12;
  bool fault = false;
  std::uint32_t error = 0;  // #PF's error code, of a fault
  bool user = false;        // the page may be used at CPL 3
  bool writable = false;    // a write at this privilege would succeed, and the page is dirty already
  bool executable = false;  // by this privilege
  bool global = false;
};

namespace page {
inline constexpr std::uint64_t kPresent = 1, kWritable = 2, kUser = 4, kAccessed = 32, kDirty = 64,
                               kLarge = 128, kGlobal = 256, kNoExecute = std::uint64_t{1} << 63;
inline constexpr std::uint32_t kErrorPresent = 1, kErrorWrite = 2, kErrorUser = 4, kErrorReserved = 8,
                               kErrorFetch = 16;
inline constexpr std::uint64_t kPhysicalMask = (std::uint64_t{1} << kPhysicalBits) - 1;
}  // namespace page

namespace detail {

struct PagingFormat {
  unsigned levels;       // 2 to 4
  unsigned entry_bytes;  // 4 or 8
  unsigned index_bits;   // 10 or 9
  bool checks_no_execute;
};

constexpr PagingFormat paging_format(const PagingContext& context) {
  if ((context.cr4 & cr4::kPae) == 0) return {2, 4, 10, false};
  const bool no_execute = (context.efer & efer::kNxe) != 0;
  return {(context.efer & efer::kLma) != 0 ? 4u : 3u, 8, 9, no_execute};
}

// Bits of an entry that must be zero.
constexpr std::uint64_t reserved_bits(const PagingFormat& format, unsigned level, bool large) {
  if (format.entry_bytes == 4) return large && level == 2 ? 0x3fffffu & ~0x1fffffu & ~0x1fe000u : 0;
  std::uint64_t reserved = ~page::kPhysicalMask & 0x000fffffffffffff;
  if (!format.checks_no_execute) reserved |= page::kNoExecute;
  if (format.levels == 3) {
    reserved |= 0x7ff0000000000000;
    if (level == 3) return reserved | page::kNoExecute | 0x1e6;
  }
  if (level == 4) return reserved | page::kLarge;
  if (large) reserved |= ((std::uint64_t{1} << (12 + 9 * (level - 1))) - 1) & ~std::uint64_t{0x1fff};
  return reserved;
}

struct Rights {
  bool writable = true, user = true, no_execute = false;
};

// Whether an access with these rights is refused.
constexpr bool is_refused(const PagingContext& context, const Rights& rights, Access access) {
  if (context.user && !rights.user) return true;
  if (access == Access::Execute) {
    return rights.no_execute || (!context.user && rights.user && (context.cr4 & cr4::kSmep) != 0);
  }
  if (!context.user && rights.user && context.smap_holds && (context.cr4 & cr4::kSmap) != 0) return true;
  return access == Access::Write && !rights.writable && (context.user || (context.cr0 & cr0::kWp) != 0);
}

constexpr std::uint32_t error_code(const PagingContext& context, Access access, std::uint32_t cause) {
  std::uint32_t error = cause;
  if (access == Access::Write) error |= page::kErrorWrite;
  if (context.user) error |= page::kErrorUser;
  const bool fetch_told =
      (context.cr4 & cr4::kSmep) != 0 || ((context.cr4 & cr4::kPae) != 0 && (context.efer & efer::kNxe) != 0);
  if (access == Access::Execute && fetch_told) error |= page::kErrorFetch;
  return error;
}

constexpr std::uint64_t large_page_base(const PagingFormat& format, std::uint64_t entry, unsigned shift) {
  const std::uint64_t mask = (std::uint64_t{1} << shift) - 1;
  if (format.entry_bytes == 4) return (entry & 0xffc00000) | (entry & 0x1fe000) << 19;  // PSE-36
  return entry & page::kPhysicalMask & ~mask;
}

}  // namespace detail

// Translates `linear`, with paging on. A walk whose tables change under it starts again.
template <class Memory>
Translation walk_page_tables(Memory& memory, const PagingContext& context, std::uint64_t linear,
                             Access access) {
  const detail::PagingFormat format = detail::paging_format(context);
  const auto refuse = [&](std::uint32_t cause) {
    return Translation{.fault = true, .error = detail::error_code(context, access, cause)};
  };
restart:
  detail::Rights rights;
  const std::uint64_t root_mask = format.levels == 3   ? 0xffffffe0
                                  : format.levels == 2 ? 0xfffff000
                                                       : page::kPhysicalMask & ~0xfffull;
  std::uint64_t table = context.cr3 & root_mask;
  for (unsigned level = format.levels;; --level) {
    const unsigned shift = 12 + format.index_bits * (level - 1);
    const unsigned index_mask = format.levels == 3 && level == 3 ? 3 : (1u << format.index_bits) - 1;
    const std::uint64_t address = table + (linear >> shift & index_mask) * format.entry_bytes;
    const std::uint64_t entry = memory.read_entry(address, format.entry_bytes);
    if ((entry & page::kPresent) == 0) return refuse(0);
    const bool may_be_large = level > 1 && level < 4 && !(format.levels == 3 && level == 3) &&
                              (format.entry_bytes == 8 || (context.cr4 & cr4::kPse) != 0);
    const bool leaf = level == 1 || (may_be_large && (entry & page::kLarge) != 0);
    if ((entry & detail::reserved_bits(format, level, leaf && level > 1)) != 0)
      return refuse(page::kErrorPresent | page::kErrorReserved);
    const bool is_pdpte = format.levels == 3 && level == 3;  // PAE's holds no rights
    if (!is_pdpte) {
      rights.writable &= (entry & page::kWritable) != 0;
      rights.user &= (entry & page::kUser) != 0;
      rights.no_execute |= format.checks_no_execute && (entry & page::kNoExecute) != 0;
    }
    if (leaf && detail::is_refused(context, rights, access)) return refuse(page::kErrorPresent);
    std::uint64_t wanted = is_pdpte ? entry : entry | page::kAccessed;
    if (leaf && access == Access::Write) wanted |= page::kDirty;
    if (wanted != entry && !memory.exchange_entry(address, format.entry_bytes, entry, wanted)) goto restart;
    if (!leaf) {
      table = entry & page::kPhysicalMask & ~std::uint64_t{0xfff};
      continue;
    }
    const std::uint64_t mask = (std::uint64_t{1} << shift) - 1;
    const std::uint64_t base =
        level > 1 ? detail::large_page_base(format, entry, shift) : entry & page::kPhysicalMask & ~mask;
    return Translation{
        .physical = base | (linear & mask),
        .page_shift = static_cast<std::uint8_t>(shift),
        .user = rights.user,
        .writable = (wanted & page::kDirty) != 0 && !detail::is_refused(context, rights, Access::Write),
        .executable = !detail::is_refused(context, rights, Access::Execute),
        .global = (context.cr4 & cr4::kPge) != 0 && (entry & page::kGlobal) != 0};
  }
}

}  // namespace berth::x86

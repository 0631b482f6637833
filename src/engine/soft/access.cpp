#include "engine/soft/access.hpp"

#include <algorithm>
#include <atomic>

#include "engine/soft/block_cache.hpp"
#include "engine/soft/first_touch.hpp"
#include "x86/paging.hpp"

namespace berth::engine::soft {
namespace {

using x86::Access;

// The page tables, as x86::walk_page_tables reads them. What is not RAM reads as ones, as from a bus that
// nobody answers on.
class TableMemory {
 public:
  explicit TableMemory(Cpu& cpu) : cpu_(cpu) {}

  std::uint64_t read_entry(std::uint64_t physical, unsigned bytes) const {
    const auto span = cpu_.memory->at(guest::Gpa{physical}, bytes);
    if (span.empty()) return ~std::uint64_t{0};
    std::uint64_t entry = 0;
    std::memcpy(&entry, span.data(), bytes);
    return entry;
  }
  bool exchange_entry(std::uint64_t physical, unsigned bytes, std::uint64_t expected,
                      std::uint64_t desired) const {
    const auto span = cpu_.memory->at(guest::Gpa{physical}, bytes);
    if (span.empty()) return true;
    cpu_.blocks->memory_written(physical, bytes);
    const bool exchanged = bytes == 8 ? exchange<std::uint64_t>(span.data(), expected, desired)
                                      : exchange<std::uint32_t>(span.data(), expected, desired);
    tell_written(cpu_, physical, bytes);
    return exchanged;
  }

 private:
  template <class T>
  static bool exchange(std::byte* place, std::uint64_t expected, std::uint64_t desired) {
    auto narrow = static_cast<T>(expected);
    return std::atomic_ref(*reinterpret_cast<T*>(place))
        .compare_exchange_strong(narrow, static_cast<T>(desired));
  }
  Cpu& cpu_;
};

x86::Translation walk(Cpu& cpu, std::uint64_t linear, Access access, Intent intent) {
  if ((cpu.arch.cr0 & x86::cr0::kPg) == 0) {
    return {.physical = linear & 0xffffffff, .user = true, .writable = true, .executable = true};
  }
  const x86::PagingContext context{
      .cr0 = cpu.arch.cr0,
      .cr3 = cpu.arch.cr3,
      .cr4 = cpu.arch.cr4,
      .efer = cpu.arch.efer,
      .user = cpu.cpl == 3 && intent == Intent::Normal,
      .smap_holds = intent == Intent::System || (cpu.system_flags & x86::rflags::kAc) == 0};
  TableMemory memory(cpu);
  const x86::Translation result = x86::walk_page_tables(memory, context, linear, access);
  if (result.fault) raise_page_fault(cpu, linear, result.error);
  return result;
}

bool watches_alignment(const Cpu& cpu) {
  return cpu.cpl == 3 && (cpu.system_flags & x86::rflags::kAc) != 0 && (cpu.arch.cr0 & x86::cr0::kAm) != 0;
}

// In bytes (SDM vol. 3, table 6-7); vectors as AMD's processors have it.
unsigned natural_alignment(unsigned bytes) {
  if (bytes == 10) return 8;  // of 80 bits
  if (bytes > 32) return 4;   // a state of the x87
  return bytes < 16 ? bytes : 16;
}

// Lets the fast path have the page, where every access to it that the fast path would make is in order.
void fill(Cpu& cpu, Tlb& tlb, std::uint64_t linear, const x86::Translation& page, std::byte* host,
          bool execute) {
  Tlb::Entry& entry = tlb.at(linear);
  const Tlb::Origin& origin = tlb.origins[Tlb::index(linear)];
  const std::uint64_t tag = linear & kPageMask;
  const std::uint64_t physical = page.physical & kPageMask;
  if (origin.linear != tag || origin.physical != physical) {
    if (origin.linear == tag) cpu.slots.empty_page(tag);
    entry = {};
  }
  tlb.set_origin({.physical = physical, .linear = tag, .page_shift = page.page_shift, .global = page.global});
  if (page.page_shift > 12) cpu.large_pages.note(linear, page.page_shift);
  entry.addend = reinterpret_cast<std::uint64_t>(host) - linear;
  if (execute) {
    entry.execute = tag;
    return;
  }
  if (watches_alignment(cpu) || cpu.debugging) return;
  entry.read = tag;
  entry.write = page.writable && !cpu.blocks->is_watched(physical) ? tag : Tlb::kNever;
}

// The check of data breakpoints: DR7's R/W is 1 for writes, 3 for both; LEN 0-3 is 1, 2, 8, 4 bytes.
void watch(Cpu& cpu, std::uint64_t linear, unsigned bytes, bool write) {
  constexpr std::array<std::uint64_t, 4> kLengths{1, 2, 8, 4};
  for (unsigned i = 0; i < 4; ++i) {
    if ((cpu.arch.dr7 >> (2 * i) & 3) == 0) continue;
    const unsigned kind = static_cast<unsigned>(cpu.arch.dr7 >> (16 + 4 * i)) & 3;
    if (kind != 3 && !(kind == 1 && write)) continue;
    const std::uint64_t length = kLengths[cpu.arch.dr7 >> (18 + 4 * i) & 3];
    const std::uint64_t start = cpu.arch.dr[i] & ~(length - 1);
    if (linear < start + length && start < linear + bytes) cpu.pending_debug |= std::uint64_t{1} << i;
  }
}

void check_linear(Cpu& cpu, std::uint64_t linear, unsigned bytes, bool write, Intent intent) {
  if (cpu.is_long() && (!x86::is_canonical(linear) || !x86::is_canonical(linear + bytes - 1))) {
    const bool stack = cpu.current->segment == kFlatStackSegment || cpu.current->segment == 2;
    raise(cpu, stack ? x86::Vector::Ss : x86::Vector::Gp);
  }
  if (intent == Intent::System) return;
  if (watches_alignment(cpu) && (linear & (natural_alignment(bytes) - 1)) != 0) raise(cpu, x86::Vector::Ac);
  if (cpu.debugging) watch(cpu, linear, bytes, write);
}

struct Place {
  std::uint64_t physical = 0;
  std::byte* host = nullptr;  // null: a device's
};

Place locate(Cpu& cpu, std::uint64_t linear, bool write, Intent intent) {
  const x86::Translation page = walk(cpu, linear, write ? Access::Write : Access::Read, intent);
  const auto span = cpu.memory->at(guest::Gpa{page.physical & kPageMask}, guest::kPageBytes);
  if (span.empty()) return {.physical = page.physical};
  cpu.first_touch->expect(span.data());
  Tlb& tlb = intent == Intent::Normal ? *cpu.tlb : cpu.tlbs[kKernelTlb];
  fill(cpu, tlb, linear, page, span.data() + (linear & 4095), false);
  return {.physical = page.physical, .host = span.data() + (page.physical & 4095)};
}

// The largest power of two that a device's access may have here.
unsigned device_chunk(std::uint64_t physical, unsigned left) {
  unsigned chunk = 8;
  while (chunk > left || (physical & (chunk - 1)) != 0) chunk /= 2;
  return chunk;
}

std::uint64_t read_device(Cpu& cpu, std::uint64_t physical, unsigned bytes) {
  std::uint64_t value = 0;
  if (!cpu.io.replay(value)) {
    leave(cpu, Mmio{.address = guest::Gpa{physical}, .bytes = static_cast<std::uint8_t>(bytes)});
  }
  return value;
}

void write_device(Cpu& cpu, std::uint64_t physical, unsigned bytes, std::uint64_t value) {
  std::uint64_t ignored = 0;
  if (cpu.io.replay(ignored)) return;
  leave(cpu, Mmio{.address = guest::Gpa{physical},
                  .bytes = static_cast<std::uint8_t>(bytes),
                  .write = true,
                  .value = value});
}

void read_piece(Cpu& cpu, const Place& place, std::byte* out, unsigned bytes) {
  if (place.host != nullptr) {
    std::memcpy(out, place.host, bytes);
    return;
  }
  for (unsigned done = 0; done < bytes;) {
    const unsigned chunk = device_chunk(place.physical + done, bytes - done);
    const std::uint64_t value = read_device(cpu, place.physical + done, chunk);
    std::memcpy(out + done, &value, chunk);
    done += chunk;
  }
}

void write_piece(Cpu& cpu, const Place& place, const std::byte* data, unsigned bytes) {
  if (place.host != nullptr) {
    cpu.blocks->memory_written(place.physical, bytes);
    std::memcpy(place.host, data, bytes);
    tell_written(cpu, place.physical, bytes);
    return;
  }
  for (unsigned done = 0; done < bytes;) {
    const unsigned chunk = device_chunk(place.physical + done, bytes - done);
    std::uint64_t value = 0;
    std::memcpy(&value, data + done, chunk);
    write_device(cpu, place.physical + done, chunk, value);
    done += chunk;
  }
}

unsigned bytes_in_page(std::uint64_t linear, unsigned bytes) {
  return static_cast<unsigned>(std::min<std::uint64_t>(bytes, 4096 - (linear & 4095)));
}

}  // namespace

void load_slow(Cpu& cpu, std::uint64_t linear, void* out, unsigned bytes, Intent intent) {
  if (intent == Intent::System) {
    const Tlb::Entry& entry = cpu.tlbs[kKernelTlb].at(linear);
    if (entry.read == ((linear + bytes - 1) & kPageMask)) {
      std::memcpy(out, reinterpret_cast<const std::byte*>(linear + entry.addend), bytes);
      return;
    }
  }
  check_linear(cpu, linear, bytes, false, intent);
  auto* bytes_out = static_cast<std::byte*>(out);
  const unsigned first = bytes_in_page(linear, bytes);
  const Place low = locate(cpu, linear, false, intent);
  if (first == bytes) return read_piece(cpu, low, bytes_out, bytes);
  const Place high = locate(cpu, linear + first, false, intent);
  read_piece(cpu, low, bytes_out, first);
  read_piece(cpu, high, bytes_out + first, bytes - first);
}

void store_slow(Cpu& cpu, std::uint64_t linear, const void* data, unsigned bytes, Intent intent) {
  if (intent == Intent::System) {
    const Tlb::Entry& entry = cpu.tlbs[kKernelTlb].at(linear);
    if (entry.write == ((linear + bytes - 1) & kPageMask)) {
      std::memcpy(reinterpret_cast<std::byte*>(linear + entry.addend), data, bytes);
      return;
    }
  }
  check_linear(cpu, linear, bytes, true, intent);
  const auto* bytes_in = static_cast<const std::byte*>(data);
  const unsigned first = bytes_in_page(linear, bytes);
  const Place low = locate(cpu, linear, true, intent);
  if (first == bytes) return write_piece(cpu, low, bytes_in, bytes);
  const Place high = locate(cpu, linear + first, true, intent);
  write_piece(cpu, low, bytes_in, first);
  write_piece(cpu, high, bytes_in + first, bytes - first);
}

void check_store(Cpu& cpu, std::uint64_t linear, unsigned bytes) {
  check_linear(cpu, linear, bytes, true, Intent::Normal);
  const unsigned first = bytes_in_page(linear, bytes);
  locate(cpu, linear, true, Intent::Normal);
  if (first != bytes) locate(cpu, linear + first, true, Intent::Normal);
}

LockedPlace lock_in_ram(Cpu& cpu, std::uint64_t linear, unsigned bytes) {
  if (bytes_in_page(linear, bytes) != bytes) return {};
  const Place place = locate(cpu, linear, true, Intent::Normal);
  if (place.host != nullptr) cpu.blocks->memory_written(place.physical, bytes);
  return {.host = place.host, .physical = place.physical};
}

void tell_written(Cpu& cpu, std::uint64_t physical, unsigned bytes) {
  if (cpu.blocks->is_watched(physical)) [[unlikely]]
    cpu.blocks->tell_written(physical, bytes);
}

std::uint64_t load_bytes(Cpu& cpu, std::uint64_t linear, unsigned bytes) {
  switch (bytes) {
    case 1:
      return load<std::uint8_t>(cpu, linear);
    case 2:
      return load<std::uint16_t>(cpu, linear);
    case 4:
      return load<std::uint32_t>(cpu, linear);
    default:
      return load<std::uint64_t>(cpu, linear);
  }
}

void store_bytes(Cpu& cpu, std::uint64_t linear, unsigned bytes, std::uint64_t value) {
  switch (bytes) {
    case 1:
      return store(cpu, linear, static_cast<std::uint8_t>(value));
    case 2:
      return store(cpu, linear, static_cast<std::uint16_t>(value));
    case 4:
      return store(cpu, linear, static_cast<std::uint32_t>(value));
    default:
      return store(cpu, linear, value);
  }
}

std::uint64_t read_port(Cpu& cpu, std::uint16_t port, unsigned bytes) {
  std::uint64_t value = 0;
  if (!cpu.io.replay(value)) leave(cpu, PortIo{.port = port, .bytes = static_cast<std::uint8_t>(bytes)});
  return value;
}

void write_port(Cpu& cpu, std::uint16_t port, unsigned bytes, std::uint32_t value) {
  std::uint64_t ignored = 0;
  if (cpu.io.replay(ignored)) return;
  leave(cpu, PortIo{.port = port, .bytes = static_cast<std::uint8_t>(bytes), .write = true, .value = value});
}

std::uint64_t translate(Cpu& cpu, std::uint64_t linear, bool write, bool execute, Intent intent) {
  if (!execute) return locate(cpu, linear, write, intent).physical;
  const x86::Translation page = walk(cpu, linear, Access::Execute, intent);
  const auto span = cpu.memory->at(guest::Gpa{page.physical & kPageMask}, guest::kPageBytes);
  if (!span.empty()) fill(cpu, *cpu.code_tlb, linear, page, span.data() + (linear & 4095), true);
  return page.physical;
}

}  // namespace berth::engine::soft

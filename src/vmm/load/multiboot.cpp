// Multiboot 1 (GNU's specification, 0.6.96): a header in the first 8 KiB, loaded by its addresses or as ELF.
#include <fmt/core.h>

#include <algorithm>

#include "vmm/load/elf.hpp"
#include "vmm/load/parts.hpp"

namespace berth::vmm {
namespace {

constexpr std::uint32_t kHeaderMagic = 0x1badb002, kLoaderMagic = 0x2badb002;
constexpr std::uint64_t kSearchBytes = 8192;
constexpr std::uint32_t kHasAddresses = 1 << 16;
constexpr std::uint32_t kUnknownNeeds = 0xfff8;  // bits 3-15: must be understood
constexpr std::uint64_t kModuleAt = kStartInfoAt + 0x100, kMemoryMapAt = kStartInfoAt + 0x200;

struct Header {
  std::uint32_t magic, flags, checksum, header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
};
struct Info {
  std::uint32_t flags = 0, mem_lower = 0, mem_upper = 0, boot_device = 0, cmdline = 0, mods_count = 0,
                mods_addr = 0, syms[4]{}, mmap_length = 0, mmap_addr = 0;
};
constexpr std::uint32_t kInfoMemory = 1, kInfoCommandLine = 4, kInfoModules = 8, kInfoMap = 64;
struct Module {
  std::uint32_t start, end, string, reserved;
};
struct [[gnu::packed]] MapEntry {
  std::uint32_t size;
  std::uint64_t start, bytes;
  std::uint32_t type;
};

std::optional<std::uint64_t> find_header(std::span<const std::byte> file) {
  for (std::uint64_t at = 0; at + 12 <= std::min<std::uint64_t>(file.size(), kSearchBytes); at += 4) {
    const auto words = *read_at<std::array<std::uint32_t, 3>>(file, at);
    if (words[0] == kHeaderMagic && words[0] + words[1] + words[2] == 0) return at;
  }
  return std::nullopt;
}

struct Loaded {
  std::uint64_t entry, end;
};

Result<Loaded> load_by_addresses(const guest::GuestMemory& memory, std::span<const std::byte> file,
                                 std::uint64_t header_at) {
  const auto header = read_at<Header>(file, header_at);
  const auto bad = [] {
    return fail(Code::InvalidArgument, "kernel: the multiboot header's addresses disagree");
  };
  if (!header || header->header_addr < header->load_addr) return bad();
  const std::uint64_t before = header->header_addr - header->load_addr;
  if (before > header_at) return bad();
  auto data = file.subspan(header_at - before);
  if (header->load_end_addr != 0) {
    if (header->load_end_addr < header->load_addr || header->load_end_addr - header->load_addr > data.size())
      return bad();
    data = data.first(header->load_end_addr - header->load_addr);
  }
  const std::uint64_t end = std::max<std::uint64_t>(header->bss_end_addr, header->load_addr + data.size());
  TRY(load_segment(memory, header->load_addr, data, end - header->load_addr));
  return Loaded{header->entry_addr, end};
}

// The entry is virtual in ELF, and paging is off: it must be the physical one.
Result<Loaded> load_as_elf(const guest::GuestMemory& memory, std::span<const std::byte> file) {
  const ElfImage elf = TRY(parse_elf(file));
  return Loaded{elf.entry & 0xffffffff, TRY(load_elf(memory, elf))};
}

Result<std::uint32_t> write_memory_map(const guest::GuestMemory& memory) {
  std::uint32_t bytes = 0;
  for (const MemoryRange& range : memory_map(memory)) {
    const MapEntry row{sizeof(MapEntry) - 4, range.start, range.bytes,
                       static_cast<std::uint32_t>(range.type)};
    TRY(write_object(memory, kMemoryMapAt + bytes, row));
    bytes += sizeof row;
  }
  return bytes;
}

}  // namespace

bool is_multiboot(std::span<const std::byte> file) { return find_header(file).has_value(); }

Result<x86::CpuState> load_multiboot(const guest::GuestMemory& memory, const KernelImage& image) {
  const std::uint64_t header_at = *find_header(image.file);
  const std::uint32_t flags = *read_at<std::uint32_t>(image.file, header_at + 4);
  if ((flags & kUnknownNeeds) != 0)
    return fail(Code::InvalidArgument, fmt::format("kernel: multiboot flags {:#x} are not known", flags));
  const Loaded loaded = TRY((flags & kHasAddresses) != 0 ? load_by_addresses(memory, image.file, header_at)
                                                         : load_as_elf(memory, image.file));
  TRY(load_command_line(memory, image.command_line));
  Info info{.flags = kInfoMemory | kInfoCommandLine | kInfoMap,
            .mem_lower = kLowRamEnd / 1024,
            .mem_upper = static_cast<std::uint32_t>((memory.regions().front().bytes - kHighRamStart) / 1024),
            .cmdline = kCommandLineAt};
  if (!image.initramfs.empty()) {
    const std::uint64_t start =
        TRY(load_initramfs(memory, image.initramfs, loaded.end, memory.regions().front().bytes));
    TRY(write_object(memory, kModuleAt,
                     Module{static_cast<std::uint32_t>(start),
                            static_cast<std::uint32_t>(start + image.initramfs.size()), 0, 0}));
    info.flags |= kInfoModules;
    info.mods_count = 1;
    info.mods_addr = kModuleAt;
  }
  info.mmap_length = TRY(write_memory_map(memory));
  info.mmap_addr = kMemoryMapAt;
  TRY(write_object(memory, kStartInfoAt, info));
  x86::CpuState state = protected_mode_state(loaded.entry);
  state.reg(x86::Gpr::Rax) = kLoaderMagic;
  state.reg(x86::Gpr::Rbx) = kStartInfoAt;
  return state;
}

}  // namespace berth::vmm

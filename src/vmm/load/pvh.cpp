// Uncompressed kernels by Xen's PVH boot protocol (xen/include/public/arch-x86/hvm/start_info.h,
// docs/misc/pvh).
#include "vmm/load/elf.hpp"
#include "vmm/load/parts.hpp"

namespace berth::vmm {
namespace {

constexpr std::uint32_t kNotePhys32Entry = 18;
constexpr std::uint32_t kMagic = 0x336ec578;
constexpr std::uint64_t kModulesAt = kStartInfoAt + 0x100, kMemoryMapAt = kStartInfoAt + 0x200;

struct StartInfo {
  std::uint32_t magic = kMagic, version = 1, flags = 0, modules = 0;
  std::uint64_t module_list = 0, command_line = 0, rsdp = 0, memory_map = 0;
  std::uint32_t memory_map_entries = 0, reserved = 0;
};
static_assert(sizeof(StartInfo) == 56);
struct Module {
  std::uint64_t address = 0, bytes = 0, command_line = 0, reserved = 0;
};
struct MapEntry {
  std::uint64_t address = 0, bytes = 0;
  std::uint32_t type = 0, reserved = 0;
};

}  // namespace

Result<x86::CpuState> load_pvh(const guest::GuestMemory& memory, const KernelImage& image) {
  const ElfImage elf = TRY(parse_elf(image.file));
  const auto entry = find_note(elf, "Xen", kNotePhys32Entry);
  if (!entry || *entry >> 32 != 0) {
    return fail(Code::InvalidArgument,
                "kernel: the ELF file has no PVH entry (Linux: CONFIG_PVH) and no multiboot header");
  }
  const std::uint64_t end = TRY(load_elf(memory, elf));
  TRY(load_command_line(memory, image.command_line));
  StartInfo info{.command_line = kCommandLineAt, .rsdp = image.rsdp, .memory_map = kMemoryMapAt};
  if (!image.initramfs.empty()) {
    const std::uint64_t address =
        TRY(load_initramfs(memory, image.initramfs, end, memory.regions().front().bytes));
    TRY(write_object(memory, kModulesAt, Module{address, image.initramfs.size()}));
    info.modules = 1;
    info.module_list = kModulesAt;
  }
  for (const MemoryRange& range : memory_map(memory)) {
    const MapEntry row{range.start, range.bytes, static_cast<std::uint32_t>(range.type)};
    TRY(write_object(memory, kMemoryMapAt + info.memory_map_entries++ * sizeof row, row));
  }
  TRY(write_object(memory, kStartInfoAt, info));
  x86::CpuState state = protected_mode_state(*entry);
  state.reg(x86::Gpr::Rbx) = kStartInfoAt;
  return state;
}

}  // namespace berth::vmm

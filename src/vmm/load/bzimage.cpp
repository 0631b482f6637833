// Linux's bzImage by its 64-bit entry, or by its 32-bit one where it has no other
// (Documentation/arch/x86/boot.rst).
#include <fmt/core.h>

#include <algorithm>

#include "vmm/load/parts.hpp"

namespace berth::vmm {
namespace {

// Offsets in the file and, the same, in the zero page.
constexpr std::uint64_t kSetupHeader = 0x1f1, kBootFlag = 0x1fe, kMagic = 0x202, kVersion = 0x206;
constexpr std::uint64_t kE820Count = 0x1e8, kE820Table = 0x2d0, kAcpiRsdp = 0x070;
constexpr std::size_t kE820Max = 128;
constexpr std::uint32_t kHdrS = 0x53726448;
constexpr std::uint16_t kOldestVersion = 0x20c;  // with xloadflags
constexpr std::uint16_t kHas64BitEntry = 1;
constexpr std::uint64_t k64BitEntry = 0x200;
constexpr std::uint8_t kLoaderUnregistered = 0xff, kLoadedHigh = 1;

// The setup header from 0x1f1 (protocol 2.12).
struct [[gnu::packed]] SetupHeader {
  std::uint8_t setup_sects;
  std::uint16_t root_flags;
  std::uint32_t syssize;
  std::uint16_t ram_size, vid_mode, root_dev, boot_flag, jump;
  std::uint32_t header;
  std::uint16_t version;
  std::uint32_t realmode_swtch;
  std::uint16_t start_sys_seg, kernel_version;
  std::uint8_t type_of_loader, loadflags;
  std::uint16_t setup_move_size;
  std::uint32_t code32_start, ramdisk_image, ramdisk_size, bootsect_kludge;
  std::uint16_t heap_end_ptr;
  std::uint8_t ext_loader_ver, ext_loader_type;
  std::uint32_t cmd_line_ptr, initrd_addr_max, kernel_alignment;
  std::uint8_t relocatable_kernel, min_alignment;
  std::uint16_t xloadflags;
  std::uint32_t cmdline_size, hardware_subarch;
  std::uint64_t hardware_subarch_data;
  std::uint32_t payload_offset, payload_length;
  std::uint64_t setup_data, pref_address;
  std::uint32_t init_size, handover_offset;
};
static_assert(sizeof(SetupHeader) == 0x268 - 0x1f1);

struct [[gnu::packed]] E820Entry {
  std::uint64_t start, bytes;
  std::uint32_t type;
};

Result<SetupHeader> read_header(std::span<const std::byte> file) {
  const auto header = read_at<SetupHeader>(file, kSetupHeader);
  if (!header) return fail(Code::InvalidArgument, "kernel: the bzImage ends within its header");
  if (header->version < kOldestVersion) {
    return fail(
        Code::InvalidArgument,
        fmt::format("kernel: the bzImage is of boot protocol {}.{}, and 2.12 is the oldest that is loaded",
                    header->version >> 8, header->version & 0xff));
  }
  return *header;
}

Result<void> write_zero_page(const guest::GuestMemory& memory, const SetupHeader& header,
                             std::uint64_t rsdp) {
  const auto map = memory_map(memory);
  BERTH_ASSERT(map.size() <= kE820Max);
  TRY(write_object(memory, kBootParamsAt + kSetupHeader, header));
  TRY(write_object(memory, kBootParamsAt + kAcpiRsdp, rsdp));
  TRY(write_object(memory, kBootParamsAt + kE820Count, static_cast<std::uint8_t>(map.size())));
  for (std::size_t i = 0; i < map.size(); ++i) {
    const E820Entry entry{map[i].start, map[i].bytes, static_cast<std::uint32_t>(map[i].type)};
    TRY(write_object(memory, kBootParamsAt + kE820Table + i * sizeof entry, entry));
  }
  return {};
}

}  // namespace

bool is_bzimage(std::span<const std::byte> file) {
  return read_at<std::uint32_t>(file, kMagic) == kHdrS && read_at<std::uint16_t>(file, kBootFlag) == 0xaa55 &&
         read_at<std::uint16_t>(file, kVersion).has_value();
}

Result<x86::CpuState> load_bzimage(const guest::GuestMemory& memory, const KernelImage& image) {
  SetupHeader header = TRY(read_header(image.file));
  const std::uint64_t setup_bytes =
      (std::uint64_t{header.setup_sects == 0 ? 4U : header.setup_sects} + 1) * 512;
  if (setup_bytes >= image.file.size())
    return fail(Code::InvalidArgument, "kernel: the bzImage ends within its set-up code");
  const auto code = image.file.subspan(setup_bytes);
  const std::uint64_t start = header.pref_address;
  const std::uint64_t needed = std::max<std::uint64_t>(header.init_size, code.size());
  if (start % guest::kPageBytes != 0)
    return fail(Code::InvalidArgument, "kernel: pref_address is not aligned");
  TRY(load_segment(memory, start, code, needed));
  TRY(load_command_line(memory, image.command_line,
                        std::min<std::uint64_t>(header.cmdline_size, kMaxCommandLine - 1)));

  header.type_of_loader = kLoaderUnregistered;
  header.loadflags |= kLoadedHigh;
  header.cmd_line_ptr = kCommandLineAt;
  header.code32_start = static_cast<std::uint32_t>(start);
  header.ramdisk_image = header.ramdisk_size = 0;
  header.setup_data = 0;
  if (!image.initramfs.empty()) {
    const std::uint64_t limit = std::uint64_t{header.initrd_addr_max} + 1;
    header.ramdisk_image =
        static_cast<std::uint32_t>(TRY(load_initramfs(memory, image.initramfs, start + needed, limit)));
    header.ramdisk_size = static_cast<std::uint32_t>(image.initramfs.size());
  }
  TRY(write_zero_page(memory, header, image.rsdp));
  const bool is_64bit = (header.xloadflags & kHas64BitEntry) != 0;
  x86::CpuState state =
      is_64bit ? TRY(long_mode_state(memory, start + k64BitEntry)) : protected_mode_state(start);
  state.reg(x86::Gpr::Rsi) = kBootParamsAt;
  return state;
}

}  // namespace berth::vmm

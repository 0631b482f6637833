#include "vmm/load/elf.hpp"

#include <elf.h>
#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "vmm/load/parts.hpp"

namespace berth::vmm {
namespace {

constexpr std::size_t kMaxProgramHeaders = 64;

Failure bad(std::string_view what) {
  return fail(Code::InvalidArgument, fmt::format("kernel: ELF: {}", what));
}

template <typename ProgramHeader>
Result<void> add_segment(ElfImage& elf, std::span<const std::byte> file, const ProgramHeader& header) {
  if (header.p_type != PT_LOAD && header.p_type != PT_NOTE) return {};
  if (header.p_offset > file.size() || header.p_filesz > file.size() - header.p_offset)
    return bad("a segment lies outside the file");
  const auto data = file.subspan(header.p_offset, header.p_filesz);
  if (header.p_type == PT_NOTE) {
    elf.notes.push_back(data);
    return {};
  }
  if (header.p_memsz < header.p_filesz) return bad("a segment is smaller in memory than in the file");
  if (header.p_memsz > 0) elf.segments.push_back({header.p_paddr, data, header.p_memsz});
  return {};
}

template <typename Header, typename ProgramHeader>
Result<ElfImage> parse(std::span<const std::byte> file, std::uint16_t machine) {
  const auto header = read_at<Header>(file, 0);
  if (!header) return bad("the file ends within its header");
  if (header->e_machine != machine) return bad("not for this processor");
  if (header->e_phentsize != sizeof(ProgramHeader)) return bad("program headers of an unknown size");
  if (header->e_phnum > kMaxProgramHeaders) return bad("more than 64 program headers");
  ElfImage elf{.is_64bit = sizeof(Header) == sizeof(Elf64_Ehdr), .entry = header->e_entry};
  for (std::uint64_t i = 0; i < header->e_phnum; ++i) {
    std::uint64_t offset = 0;
    if (__builtin_add_overflow(std::uint64_t{header->e_phoff}, i * sizeof(ProgramHeader), &offset))
      return bad("the program headers lie outside the file");
    const auto program = read_at<ProgramHeader>(file, offset);
    if (!program) return bad("the program headers lie outside the file");
    TRY(add_segment(elf, file, *program));
  }
  if (elf.segments.empty()) return bad("nothing to load");
  return elf;
}

constexpr std::uint64_t align4(std::uint64_t value) { return (value + 3) & ~std::uint64_t{3}; }

}  // namespace

bool is_elf(std::span<const std::byte> file) {
  return file.size() >= EI_NIDENT && std::memcmp(file.data(), ELFMAG, SELFMAG) == 0;
}

Result<ElfImage> parse_elf(std::span<const std::byte> file) {
  if (!is_elf(file)) return bad("no ELF header");
  if (std::to_integer<int>(file[EI_DATA]) != ELFDATA2LSB) return bad("not little-endian");
  switch (std::to_integer<int>(file[EI_CLASS])) {
    case ELFCLASS32:
      return parse<Elf32_Ehdr, Elf32_Phdr>(file, EM_386);
    case ELFCLASS64:
      return parse<Elf64_Ehdr, Elf64_Phdr>(file, EM_X86_64);
    default:
      return bad("neither 32 nor 64 bits wide");
  }
}

Result<std::uint64_t> load_elf(const guest::GuestMemory& memory, const ElfImage& elf) {
  std::uint64_t end = 0;
  for (const ElfSegment& segment : elf.segments) {
    TRY(load_segment(memory, segment.address, segment.data, segment.memory_bytes));
    end = std::max(end, segment.address + segment.memory_bytes);
  }
  return end;
}

std::optional<std::uint64_t> find_note(const ElfImage& elf, std::string_view owner, std::uint32_t type) {
  for (const auto notes : elf.notes) {
    std::uint64_t at = 0;
    while (const auto header = read_at<Elf64_Nhdr>(notes, at)) {
      const std::uint64_t name_at = at + sizeof *header;
      const std::uint64_t value_at = name_at + align4(header->n_namesz);
      if (value_at + header->n_descsz > notes.size()) break;
      const std::string_view name(reinterpret_cast<const char*>(notes.data()) + name_at, header->n_namesz);
      if (header->n_type == type && name.substr(0, name.find('\0')) == owner && header->n_descsz >= 4) {
        std::uint64_t value = 0;
        std::memcpy(&value, notes.data() + value_at, std::min<std::size_t>(header->n_descsz, sizeof value));
        return value;
      }
      at = value_at + align4(header->n_descsz);
    }
  }
  return std::nullopt;
}

}  // namespace berth::vmm

#include "kernel/unpack/module_info.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/text.hpp"

namespace berth::kernel {
namespace {

constexpr std::size_t kMaxEntries = 4096;
constexpr std::string_view kSignatureMark = "~Module signature appended~\n";

// Before the mark: algorithm, hash, key's type, two lengths, three of padding, the signature's length.
struct SignatureTrailer {
  std::uint8_t algorithm, hash, id_type, signer_bytes, key_id_bytes, padding[3];
  std::uint8_t signature_bytes[4];  // big-endian
};
static_assert(sizeof(SignatureTrailer) == 12);

template <typename T>
std::optional<T> read_at(std::string_view file, std::uint64_t offset) {
  if (offset > file.size() || file.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

std::string_view content(std::string_view file, const Elf64_Shdr& section) {
  if (section.sh_type == SHT_NOBITS || section.sh_offset > file.size() ||
      file.size() - section.sh_offset < section.sh_size)
    return {};
  return file.substr(section.sh_offset, section.sh_size);
}

std::string_view text_at(std::string_view strings, std::size_t offset) {
  if (offset >= strings.size()) return {};
  const std::string_view rest = strings.substr(offset);
  return rest.substr(0, rest.find('\0'));
}

std::string_view find_section(std::string_view file, std::string_view name) {
  const auto header = read_at<Elf64_Ehdr>(file, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64)
    return {};
  const auto section_at = [&](unsigned index) -> std::optional<Elf64_Shdr> {
    const std::uint64_t table = header->e_shoff;
    if (index >= header->e_shnum || table > file.size()) return std::nullopt;
    return read_at<Elf64_Shdr>(file, table + std::uint64_t{index} * sizeof(Elf64_Shdr));
  };
  const auto names_section = section_at(header->e_shstrndx);
  if (!names_section) return {};
  const std::string_view names = content(file, *names_section);
  for (unsigned i = 0; i < header->e_shnum; ++i) {
    const auto section = section_at(i);
    if (!section) return {};
    if (text_at(names, section->sh_name) == name) return content(file, *section);
  }
  return {};
}

std::vector<std::string> plain_words(std::string_view text, char separator) {
  std::vector<std::string> words;
  for (const std::string& word : split(text, separator))
    if (!word.empty()) words.push_back(plain_module_name(word));
  return words;
}

void take(ModuleInfo& info, std::string_view key, std::string_view value) {
  constexpr std::string_view kPre = "pre:";
  if (key == "name") info.name = plain_module_name(value);
  if (key == "alias") info.aliases.push_back(plain_module_name(value));
  if (key == "depends") info.needs = plain_words(value, ',');
  if (key == "softdep" && value.starts_with(kPre)) {
    value.remove_prefix(kPre.size());
    info.prefers = plain_words(value.substr(0, value.find("post:")), ' ');
  }
}

}  // namespace

std::string plain_module_name(std::string_view name) {
  std::string plain(name);
  std::replace(plain.begin(), plain.end(), '-', '_');
  return plain;
}

Result<ModuleInfo> read_module_info(std::string_view module) {
  std::string_view entries = find_section(module, ".modinfo");
  if (entries.empty())
    return fail(Code::InvalidArgument, "no kernel module: no 64-bit ELF file with a section .modinfo");
  ModuleInfo info;
  for (std::size_t i = 0; i < kMaxEntries && !entries.empty(); ++i) {
    const std::string_view entry = entries.substr(0, entries.find('\0'));
    entries.remove_prefix(std::min(entry.size() + 1, entries.size()));
    if (const auto equals = entry.find('='); equals != std::string_view::npos)
      take(info, entry.substr(0, equals), entry.substr(equals + 1));
  }
  if (info.name.empty()) return fail(Code::InvalidArgument, "a kernel module without a name");
  return info;
}

std::string_view without_signature(std::string_view module) {
  if (!module.ends_with(kSignatureMark)) return module;
  const std::string_view body = module.substr(0, module.size() - kSignatureMark.size());
  if (body.size() < sizeof(SignatureTrailer)) return module;
  const auto trailer = *read_at<SignatureTrailer>(body, body.size() - sizeof(SignatureTrailer));
  std::uint64_t bytes = sizeof(SignatureTrailer) + trailer.signer_bytes + trailer.key_id_bytes;
  std::uint64_t signature = 0;
  for (const std::uint8_t byte : trailer.signature_bytes) signature = signature << 8 | byte;
  bytes += signature;
  return bytes <= body.size() ? body.substr(0, body.size() - bytes) : module;
}

}  // namespace berth::kernel

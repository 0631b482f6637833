// Compiled filters kept as files. Declared in sys/seccomp.hpp.
//
// A file is a header, the profile in a text that no other profile shares (the key), and the program. The
// kernel trusts what it is given here, so a hit needs the whole key to be equal and the checksum over
// everything to hold.
#include <fmt/core.h>
#include <fmt/format.h>
#include <linux/filter.h>
#include <seccomp.h>

#include <array>
#include <cstring>
#include <iterator>
#include <optional>

#include "sys/fd.hpp"
#include "sys/seccomp.hpp"

namespace berth::sys {
namespace {

constexpr std::array<char, 8> kMagic = {'b', 'e', 'r', 't', 'h', 's', 'c', '1'};
constexpr std::size_t kMaxFile = 4 << 20;

struct Header {
  std::array<char, 8> magic = kMagic;
  std::uint64_t checksum = 0;  // of all that follows
  std::uint64_t key_bytes = 0;
  std::uint64_t program_bytes = 0;
};
constexpr std::size_t kChecked = offsetof(Header, key_bytes);

// FNV-1a over words of 8 bytes, the rest by byte: finds damage and spreads names; nothing rests on it against
// an attacker, who would have to write to the cache directory.
std::uint64_t hash(std::string_view bytes) {
  constexpr std::uint64_t kPrime = 0x100000001b3;
  std::uint64_t state = 0xcbf29ce484222325;
  for (; bytes.size() >= sizeof(std::uint64_t); bytes.remove_prefix(sizeof(std::uint64_t))) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof(word));
    state = (state ^ word) * kPrime;
    state ^= state >> 32;
  }
  for (const char byte : bytes) state = (state ^ static_cast<unsigned char>(byte)) * kPrime;
  return state;
}

// Every part is a number, or text after its length: two profiles have the same key only if they are the same.
std::string key_of(const SeccompProfile& profile) {
  const scmp_version* version = ::seccomp_version();
  fmt::memory_buffer text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "libseccomp {}.{}.{} native {}\n", version->major, version->minor, version->micro,
                 native_seccomp_architecture());
  fmt::format_to(out, "default {} {}\n", static_cast<int>(profile.fallback.action), profile.fallback.data);
  for (const std::string& name : profile.architectures)
    fmt::format_to(out, "arch {}:{}\n", name.size(), name);
  for (const SeccompRule& rule : profile.rules) {
    fmt::format_to(out, "rule {} {}", static_cast<int>(rule.verdict.action), rule.verdict.data);
    for (const std::string& name : rule.names) fmt::format_to(out, " {}:{}", name.size(), name);
    for (const SeccompArgument& argument : rule.arguments) {
      fmt::format_to(out, " arg {} {} {} {}", argument.index, static_cast<int>(argument.compare),
                     argument.value, argument.second);
    }
    text.push_back('\n');
  }
  return {text.data(), text.size()};
}

std::string_view bytes_of(const std::vector<std::uint64_t>& words) {
  return {reinterpret_cast<const char*>(words.data()), words.size() * sizeof(std::uint64_t)};
}

std::string name_of(const std::string& key) { return fmt::format("{:016x}.bpf", hash(key)); }

std::string to_file(const std::string& key, const std::vector<std::uint64_t>& program) {
  Header header;
  header.key_bytes = key.size();
  header.program_bytes = bytes_of(program).size();
  std::string file(sizeof(Header), '\0');
  file += key;
  file += bytes_of(program);
  std::memcpy(file.data(), &header, sizeof(header));
  header.checksum = hash(std::string_view(file).substr(kChecked));
  std::memcpy(file.data(), &header, sizeof(header));
  return file;
}

// Nothing for a file that is not whole or not of this profile.
std::optional<std::vector<std::uint64_t>> from_file(std::string_view file, std::string_view key) {
  Header header;
  if (file.size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, file.data(), sizeof(header));
  const std::string_view content = file.substr(sizeof(header));
  if (header.magic != kMagic || header.key_bytes != key.size() || content.size() < key.size())
    return std::nullopt;
  if (header.program_bytes != content.size() - key.size()) return std::nullopt;
  if (header.checksum != hash(file.substr(kChecked)) || content.substr(0, key.size()) != key)
    return std::nullopt;
  std::vector<std::uint64_t> program(header.program_bytes / sizeof(std::uint64_t));
  if (program.empty() || program.size() > BPF_MAXINSNS) return std::nullopt;
  std::memcpy(program.data(), content.data() + key.size(), program.size() * sizeof(std::uint64_t));
  return program;
}

}  // namespace

std::string seccomp_cache_name(const SeccompProfile& profile) { return name_of(key_of(profile)); }

Result<SeccompProgram> cached_seccomp(const SeccompProfile& profile, const std::string& cache_directory) {
  const std::string key = key_of(profile);
  const std::string path = cache_directory + "/" + name_of(key);
  if (const auto file = read_file(path, kMaxFile)) {
    if (auto program = from_file(*file, key))
      return SeccompProgram{*std::move(program), seccomp_install_flags(profile)};
  }
  SeccompProgram program = TRY(compile_seccomp(profile));
  if (make_dir(cache_directory, 0700)) {
    static_cast<void>(replace_file(path, to_file(key, program.instructions), 0600));
  }
  return program;
}

}  // namespace berth::sys

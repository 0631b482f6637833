// For tests and fuzzers: tar archives made byte by byte.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace berth::image::fixture {

struct Header {
  std::string name;
  char type = '0';
  std::string content;
  std::string link;
  unsigned mode = 0644;
  unsigned uid = 0;
  unsigned gid = 0;
  long mtime = 1'000'000'000;
  unsigned major = 0;
  unsigned minor = 0;
  std::uint64_t claimed_size = UINT64_MAX;  // as the header says, where that is a lie
};

inline void put_octal(std::string& block, std::size_t at, std::size_t width, std::uint64_t value) {
  std::string digits(width - 1, '0');
  for (std::size_t i = width - 1; i-- > 0; value >>= 3) digits[i] = static_cast<char>('0' + (value & 7));
  block.replace(at, digits.size(), digits);
}

inline void put_checksum(std::string& block) {
  block.replace(148, 8, "        ");
  std::uint64_t sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  put_octal(block, 148, 7, sum);
  block[154] = '\0';
}

inline std::string padded(std::string bytes) {
  bytes.resize((bytes.size() + 511) / 512 * 512);
  return bytes;
}

// One ustar header block (POSIX.1-1988) and the content after it.
inline std::string entry(const Header& header) {
  std::string block(512, '\0');
  block.replace(0, header.name.size(), header.name);
  put_octal(block, 100, 8, header.mode);
  put_octal(block, 108, 8, header.uid);
  put_octal(block, 116, 8, header.gid);
  put_octal(block, 124, 12, header.claimed_size == UINT64_MAX ? header.content.size() : header.claimed_size);
  put_octal(block, 136, 12, static_cast<std::uint64_t>(header.mtime));
  block[156] = header.type;
  block.replace(157, header.link.size(), header.link);
  block.replace(257, 8,
                std::string("ustar\0"
                            "00",
                            8));
  put_octal(block, 329, 8, header.major);
  put_octal(block, 337, 8, header.minor);
  put_checksum(block);
  return block + padded(header.content);
}

// "27 path=..." records of a pax extended header (POSIX.1-2001): for the entry that follows.
inline std::string pax(const std::vector<std::pair<std::string, std::string>>& records) {
  std::string body;
  for (const auto& [key, value] : records) {
    const std::string rest = " " + key + "=" + value + "\n";
    std::size_t length = rest.size() + 1;
    while (std::to_string(length).size() + rest.size() != length) ++length;
    body += std::to_string(length) + rest;
  }
  return entry({"PaxHeaders/x", 'x', body});
}

inline std::string file(const std::string& name, const std::string& content = "") {
  return entry({name, '0', content});
}
inline std::string directory(const std::string& name, unsigned mode = 0755) {
  return entry({name, '5', "", "", mode});
}
inline std::string symlink(const std::string& name, const std::string& target) {
  return entry({name, '2', "", target});
}
inline std::string hard_link(const std::string& name, const std::string& target, unsigned mode = 0644) {
  return entry({name, '1', "", target, mode});
}
inline std::string end() { return std::string(1024, '\0'); }

}  // namespace berth::image::fixture

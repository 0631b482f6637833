#include "device/acpi/aml.hpp"

#include <algorithm>

#include "base/result.hpp"

namespace berth::device::aml {
namespace {

constexpr std::uint8_t kZeroOp = 0x00, kOneOp = 0x01, kNameOp = 0x08, kBytePrefix = 0x0a, kWordPrefix = 0x0b,
                       kDwordPrefix = 0x0c, kStringPrefix = 0x0d, kQwordPrefix = 0x0e, kScopeOp = 0x10,
                       kBufferOp = 0x11, kPackageOp = 0x12, kDualNamePrefix = 0x2e, kExtPrefix = 0x5b,
                       kDeviceOp = 0x82;

void append(Bytes& to, const Bytes& from) { to.insert(to.end(), from.begin(), from.end()); }

void append_little(Bytes& to, std::uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) to.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

// The length counts itself (ACPI 6.4, 20.2.4).
Bytes with_length(const Bytes& content) {
  const std::size_t size = content.size();
  Bytes out;
  if (size + 1 < 64) {
    out.push_back(static_cast<std::uint8_t>(size + 1));
  } else {
    const unsigned extra = size + 2 < 1U << 12 ? 1 : size + 3 < 1U << 20 ? 2 : 3;
    const std::size_t total = size + 1 + extra;
    BERTH_ASSERT(total < 1U << 28);
    out.push_back(static_cast<std::uint8_t>(extra << 6 | (total & 15)));
    append_little(out, total >> 4, extra);
  }
  append(out, content);
  return out;
}

Bytes name_string(std::string_view path) {
  Bytes out;
  if (path.starts_with('\\')) {
    out.push_back('\\');
    path.remove_prefix(1);
  }
  BERTH_ASSERT(path.size() == 4 || (path.size() == 9 && path[4] == '.'));
  if (path.size() == 9) out.push_back(kDualNamePrefix);
  for (const char c : path)
    if (c != '.') out.push_back(static_cast<std::uint8_t>(c));
  return out;
}

// Address space descriptors of all widths have one shape (ACPI 6.4, 6.4.3.5).
Bytes window(std::uint8_t tag, std::uint8_t type, std::uint8_t flags, unsigned width, std::uint64_t first,
             std::uint64_t last) {
  Bytes out{tag};
  append_little(out, 3 + 5 * width, 2);
  out.push_back(type);
  out.push_back(0x0c);  // both ends fixed, producer
  out.push_back(flags);
  for (const std::uint64_t field : {std::uint64_t{0}, first, last, std::uint64_t{0}, last - first + 1})
    append_little(out, field, width);
  return out;
}

}  // namespace

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts) append(out, part);
  return out;
}

Bytes integer(std::uint64_t value) {
  if (value == 0) return {kZeroOp};
  if (value == 1) return {kOneOp};
  const unsigned bytes = value <= 0xff ? 1 : value <= 0xffff ? 2 : value <= 0xffffffff ? 4 : 8;
  Bytes out{bytes == 1 ? kBytePrefix : bytes == 2 ? kWordPrefix : bytes == 4 ? kDwordPrefix : kQwordPrefix};
  append_little(out, value, bytes);
  return out;
}

Bytes string(std::string_view text) {
  Bytes out(text.size() + 2);  // and the terminating zero
  out[0] = kStringPrefix;
  std::copy(text.begin(), text.end(), out.begin() + 1);
  return out;
}

// Three letters of five bits and four hexadecimal digits, big-endian (ACPI 6.4, 19.6.36).
Bytes eisa_id(std::string_view id) {
  BERTH_ASSERT(id.size() == 7);
  std::uint32_t value = 0;
  for (const char c : id.substr(0, 3)) value = value << 5 | static_cast<std::uint32_t>(c - '@');
  for (const char c : id.substr(3))
    value = value << 4 | static_cast<std::uint32_t>(c <= '9' ? c - '0' : c - 'A' + 10);
  Bytes out{kDwordPrefix};
  append_little(out, __builtin_bswap32(value), 4);
  return out;
}

Bytes package(const std::vector<Bytes>& elements) {
  BERTH_ASSERT(elements.size() < 256);
  Bytes content{static_cast<std::uint8_t>(elements.size())};
  for (const Bytes& element : elements) append(content, element);
  return join({{kPackageOp}, with_length(content)});
}

Bytes name(std::string_view object, const Bytes& value) {
  return join({{kNameOp}, name_string(object), value});
}

Bytes scope(std::string_view path, const Bytes& terms) {
  return join({{kScopeOp}, with_length(join({name_string(path), terms}))});
}

Bytes device(std::string_view object, const Bytes& terms) {
  return join({{kExtPrefix, kDeviceOp}, with_length(join({name_string(object), terms}))});
}

Bytes resources(const Bytes& descriptors) {
  const Bytes content = join({descriptors, {0x79, 0}});  // end tag; 0: no checksum
  return join({{kBufferOp}, with_length(join({integer(content.size()), content}))});
}

Bytes io_ports(std::uint16_t first, std::uint8_t count) {
  Bytes out{0x47, 0x01};  // I/O descriptor, 16-bit decode
  append_little(out, first, 2);
  append_little(out, first, 2);
  append_little(out, std::uint64_t{1} | std::uint64_t{count} << 8, 2);
  return out;
}

Bytes irq(unsigned line) {
  BERTH_ASSERT(line < 16);
  Bytes out{0x22};
  append_little(out, 1U << line, 2);
  return out;
}

Bytes fixed_memory(std::uint32_t start, std::uint32_t bytes, bool writable) {
  Bytes out{0x86, 9, 0, static_cast<std::uint8_t>(writable ? 1 : 0)};
  append_little(out, start, 4);
  append_little(out, bytes, 4);
  return out;
}

Bytes bus_numbers(std::uint16_t first, std::uint16_t last) { return window(0x88, 2, 0, 2, first, last); }
Bytes port_window(std::uint16_t first, std::uint16_t last) { return window(0x88, 1, 3, 2, first, last); }
Bytes memory_window(std::uint32_t first, std::uint32_t last) { return window(0x87, 0, 1, 4, first, last); }
Bytes memory_window_64(std::uint64_t first, std::uint64_t last) { return window(0x8a, 0, 1, 8, first, last); }

}  // namespace berth::device::aml

// ACPI Machine Language, as far as a static description of a board needs it (ACPI 6.4, chapters 6.4 and 20).
// Each function gives the bytes of one term.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace berth::device::aml {

using Bytes = std::vector<std::uint8_t>;

Bytes join(std::initializer_list<Bytes> parts);

// Values.
Bytes integer(std::uint64_t value);
Bytes string(std::string_view text);
Bytes eisa_id(std::string_view id);                 // "PNP0A08"
Bytes package(const std::vector<Bytes>& elements);  // at most 255

// Named objects; names are four characters, `scope` may be a path from the root ("\\_SB_").
Bytes name(std::string_view object, const Bytes& value);
Bytes scope(std::string_view path, const Bytes& terms);
Bytes device(std::string_view object, const Bytes& terms);

// Resource descriptors (ACPI 6.4, 6.4.2 and 6.4.3), to be put into one template.
Bytes resources(const Bytes& descriptors);
Bytes io_ports(std::uint16_t first, std::uint8_t count);
Bytes irq(unsigned line);  // edge, active high, exclusive
Bytes fixed_memory(std::uint32_t start, std::uint32_t bytes, bool writable);
Bytes bus_numbers(std::uint16_t first, std::uint16_t last);
Bytes port_window(std::uint16_t first, std::uint16_t last);
Bytes memory_window(std::uint32_t first, std::uint32_t last);
Bytes memory_window_64(std::uint64_t first, std::uint64_t last);

}  // namespace berth::device::aml

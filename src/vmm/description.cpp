#include "vmm/description.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "vmm/virtual_machine.hpp"

namespace berth::vmm {
namespace {

constexpr std::array<std::string_view, 8> kMembers{"kernel", "initramfs", "command_line", "memory",
                                                   "vcpus",  "disks",     "network",      "engine"};
constexpr std::array<std::string_view, 3> kDiskMembers{"path", "read_only", "id"};
constexpr std::array<std::string_view, 3> kNetworkMembers{"kind", "path", "mac"};

Result<void> check_members(const JsonView& view, std::span<const std::string_view> known) {
  for (const auto& [name, value] : TRY(view.as_object()))
    if (std::find(known.begin(), known.end(), name) == known.end())
      return value.bad("there is no such setting");
  return {};
}

Result<std::uint64_t> read_memory(const JsonView& view, std::uint64_t fallback) {
  const auto memory = TRY(view.find("memory"));
  if (!memory) return fallback;
  if (memory->raw().is_string()) return parse_size(TRY(memory->as_string()));
  return memory->as_uint();
}

int hex_digit(char c) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const auto at = kDigits.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

Result<std::array<std::uint8_t, 6>> read_mac(const JsonView& view) {
  const std::string text = TRY(view.as_string());
  std::array<std::uint8_t, 6> mac{};
  bool good = text.size() == 17;
  for (std::size_t i = 0; good && i < mac.size(); ++i) {
    const int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);
    good = high >= 0 && low >= 0 && (i == 5 || text[3 * i + 2] == ':');
    if (good) mac[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  // The first byte's lowest bit would make it the address of a group (IEEE 802).
  if (!good || (mac[0] & 1) != 0) return view.bad("expected one interface's address as 02:00:00:00:00:01");
  return mac;
}

Result<std::optional<NetworkDescription>> read_network(const JsonView& view) {
  const auto member = TRY(view.find("network"));
  if (!member) return std::nullopt;
  TRY(check_members(*member, kNetworkMembers));
  NetworkDescription out;
  const std::string kind = TRY(member->string("kind"));
  if (kind != "stream" && kind != "tap") return TRY(member->at("kind")).bad("expected stream or tap");
  out.kind = kind == "tap" ? NetworkKind::Tap : NetworkKind::Stream;
  out.path = TRY(member->string("path"));
  if (!out.path.starts_with("fd:")) return TRY(member->at("path")).bad("expected fd:NUMBER");
  out.mac = TRY(read_mac(TRY(member->at("mac"))));
  return out;
}

Result<EngineChoice> read_engine(const JsonView& view) {
  const auto name = TRY(view.string_or("engine", "auto"));
  if (name == "auto") return EngineChoice::Auto;
  if (name == "interpreter") return EngineChoice::Interpreter;
  if (name == "soft") return EngineChoice::Translator;
  if (name == "kvm") return EngineChoice::Kvm;
  return TRY(view.at("engine")).bad("expected auto, interpreter, soft or kvm");
}

}  // namespace

Result<Description> parse_description(std::string_view json) {
  const Json document = TRY(parse_json(json, "machine"));
  const JsonView view(document, "machine");
  TRY(check_members(view, kMembers));
  Description out;
  out.kernel = TRY(view.string("kernel"));
  out.initramfs = TRY(view.string_or("initramfs", ""));
  out.command_line = TRY(view.string_or("command_line", ""));
  out.memory_bytes = TRY(read_memory(view, out.memory_bytes));
  const auto vcpus = TRY(view.int_or("vcpus", 1));
  if (vcpus < 1 || vcpus > static_cast<std::int64_t>(kMaxVcpus))
    return TRY(view.at("vcpus")).bad(fmt::format("expected 1 to {}", kMaxVcpus));
  out.vcpus = static_cast<unsigned>(vcpus);
  for (const JsonView& disk : TRY(view.array_or_empty("disks"))) {
    TRY(check_members(disk, kDiskMembers));
    out.disks.push_back(
        {TRY(disk.string("path")), TRY(disk.bool_or("read_only", false)), TRY(disk.string_or("id", ""))});
  }
  out.network = TRY(read_network(view));
  out.engine = TRY(read_engine(view));
  return out;
}

}  // namespace berth::vmm

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

constexpr std::array<std::string_view, 7> kMembers{"kernel", "initramfs", "command_line", "memory",
                                                   "vcpus",  "disks",     "engine"};
constexpr std::array<std::string_view, 3> kDiskMembers{"path", "read_only", "id"};

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
  out.engine = TRY(read_engine(view));
  return out;
}

}  // namespace berth::vmm

#include "kernel/store/store.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "base/json_value.hpp"
#include "base/text.hpp"

namespace berth::kernel {
namespace {

constexpr std::size_t kLongestName = 64;
constexpr std::string_view kWorkshop = ".new";
constexpr std::string_view kDefault = "default", kLock = "lock";

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Failure no_such_kernel(std::string_view name) {
  if (name.empty())
    return fail(Code::FailedPrecondition,
                "there is no kernel for virtual machines yet: berth kernel add --debian, or berth kernel add "
                "FILE");
  return fail(Code::NotFound, fmt::format("there is no kernel {}: see berth kernel ls", name));
}

}  // namespace

Result<void> check_kernel_name(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= kLongestName && is_alphanumeric(name.front()) &&
                    std::all_of(name.begin(), name.end(), [](char c) {
                      return is_alphanumeric(c) || std::string_view("._+-").find(c) != std::string_view::npos;
                    });
  if (fits && name != kDefault && name != kLock) return {};
  return fail(Code::InvalidArgument,
              fmt::format("\"{}\" cannot name a kernel: use letters, digits and ._+-, at most {}, and not "
                          "\"default\" or \"lock\"",
                          name.substr(0, kLongestName), kLongestName));
}

std::string KernelStore::default_name() const {
  return sys::read_file(fmt::format("{}/{}", directory_, kDefault), kLongestName).value_or("");
}

Result<KernelRecord> KernelStore::read(const std::string& name) const {
  KernelRecord record{.name = name, .directory = directory_ + "/" + name};
  const std::string path = record.directory + "/kernel.json";
  const Json json = TRY(parse_json(TRY(sys::read_file(path, 1 << 20)), path));
  const JsonView view(json, path);
  record.source = TRY(view.string("source"));
  record.added_ns = TRY(view.int_or("addedNs", 0));
  record.modules = TRY(view.strings_or_empty("modules"));
  record.size_bytes = static_cast<std::uint64_t>(TRY(sys::stat(record.vmlinux())).st_size) +
                      static_cast<std::uint64_t>(TRY(sys::stat(record.modules_archive())).st_size);
  record.is_default = default_name() == name;
  return record;
}

Result<std::vector<KernelRecord>> KernelStore::list() const {
  std::vector<KernelRecord> records;
  std::error_code none_yet;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, none_yet)) {
    const std::string name = entry.path().filename();
    if (!check_kernel_name(name)) continue;
    auto record = read(name);
    if (!record && record.error().code == Code::NotFound) continue;  // just removed
    records.push_back(TRY(std::move(record)));
  }
  std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return records;
}

Result<KernelRecord> KernelStore::find(std::string_view name) const {
  const std::string wanted = name.empty() ? default_name() : std::string(name);
  if (wanted.empty()) return no_such_kernel("");
  TRY(check_kernel_name(wanted));
  auto record = read(wanted);
  if (!record && record.error().code == Code::NotFound) return no_such_kernel(wanted);
  return record;
}

Result<KernelStore::Workshop> KernelStore::workshop() const {
  TRY(sys::make_dir(directory_, 0700));
  Workshop shop{.path = fmt::format("{}/{}", directory_, kWorkshop),
                .lock = TRY(sys::lock_file(fmt::format("{}/{}", directory_, kLock)))};
  TRY(sys::remove_tree(shop.path));  // of a maker that was killed
  TRY(sys::make_dir(shop.path, 0700));
  return shop;
}

Result<void> KernelStore::make(const std::string& path, const KernelRecord& record,
                               const KernelParts& parts) const {
  TRY(sys::make_dir(path, 0755));
  TRY(sys::replace_file(path + "/vmlinux", parts.vmlinux, 0644, sys::Keeping::Durable));
  TRY(sys::replace_file(path + "/modules.cpio", parts.modules_archive, 0644, sys::Keeping::Durable));
  const Json json = {{"source", record.source}, {"addedNs", now_ns()}, {"modules", record.modules}};
  return sys::replace_file(path + "/kernel.json", json.dump(2) + "\n", 0644, sys::Keeping::Durable);
}

Result<KernelRecord> KernelStore::add(const Workshop& shop, const KernelRecord& record,
                                      const KernelParts& parts) const {
  TRY(check_kernel_name(record.name));
  const std::string fresh = shop.path + "/fresh", target = directory_ + "/" + record.name;
  TRY(make(fresh, record, parts));
  if (sys::exists(target) && ::rename(target.c_str(), (shop.path + "/old").c_str()) != 0)
    return fail_errno(fmt::format("cannot replace kernel {}", record.name));
  if (::rename(fresh.c_str(), target.c_str()) != 0)
    return fail_errno(fmt::format("cannot store kernel {}", record.name));
  TRY(sys::remove_tree(shop.path));
  if (!find("")) TRY(set_default(record.name));
  return read(record.name);
}

Result<void> KernelStore::set_default(std::string_view name) const {
  const KernelRecord record = TRY(find(name));
  return sys::replace_file(fmt::format("{}/{}", directory_, kDefault), record.name);
}

Result<void> KernelStore::remove(std::string_view name) const {
  const KernelRecord record = TRY(find(name));
  const Workshop shop = TRY(workshop());
  if (::rename(record.directory.c_str(), (shop.path + "/old").c_str()) != 0)
    return fail_errno(fmt::format("cannot remove kernel {}", record.name));
  TRY(sys::remove_tree(shop.path));
  if (!record.is_default) return {};
  const auto left = TRY(list());
  return left.empty() ? sys::remove_tree(fmt::format("{}/{}", directory_, kDefault))
                      : set_default(left.back().name);
}

}  // namespace berth::kernel

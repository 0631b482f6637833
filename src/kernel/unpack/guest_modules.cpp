#include "kernel/unpack/guest_modules.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "kernel/store/cpio.hpp"

namespace berth::kernel {
namespace {

// The bus, disks, entropy, the connection to the host, the image's layers and what joins them.
constexpr std::array<std::string_view, 6> kWanted{
    "virtio_pci", "virtio_blk", "virtio_rng", "vmw_vsock_virtio_transport", "erofs", "overlay"};
// What a machine can do without.
constexpr std::array<std::string_view, 2> kWished{"virtio_net", "virtio_balloon"};
constexpr std::size_t kDeepest = 32;

// Adds modules behind what they need.
class Order {
 public:
  explicit Order(const ModuleCatalogue& catalogue) : catalogue_(catalogue) {}

  Result<void> add(const std::string& name, std::size_t depth = 0) {
    if (catalogue_.built_in.contains(name) || !seen_.insert(name).second) return {};
    const auto found = catalogue_.modules.find(name);
    if (found == catalogue_.modules.end())
      return fail(Code::NotFound,
                  fmt::format("the kernel has no module {}, which virtual machines need", name));
    if (depth > kDeepest)
      return fail(Code::InvalidArgument, fmt::format("module {} needs too many others", name));
    for (const std::string& other : found->second.prefers)
      if (const std::string provider = provider_of(other); !provider.empty()) TRY(add(provider, depth + 1));
    for (const std::string& other : found->second.needs) TRY(add(other, depth + 1));
    names.push_back(name);
    return {};
  }
  std::vector<std::string> names;

 private:
  // Of several, the one that runs on every processor.
  std::string provider_of(const std::string& wish) const {
    if (catalogue_.built_in.contains(wish) || catalogue_.modules.contains(wish)) return wish;
    std::string best;
    for (const auto& [name, info] : catalogue_.modules) {
      if (std::find(info.aliases.begin(), info.aliases.end(), wish) == info.aliases.end()) continue;
      if (best.empty() || name.ends_with("_generic")) best = name;
    }
    return best;
  }
  const ModuleCatalogue& catalogue_;
  std::set<std::string> seen_;
};

}  // namespace

Result<std::vector<std::string>> guest_modules(const ModuleCatalogue& catalogue) {
  Order order(catalogue);
  for (const std::string_view name : kWanted) TRY(order.add(std::string(name)));
  for (const std::string_view name : kWished)
    if (catalogue.modules.contains(std::string(name))) TRY(order.add(std::string(name)));
  return order.names;
}

std::string pack_modules(const std::vector<std::string>& order,
                         const std::function<std::string_view(const std::string&)>& content) {
  CpioWriter archive;
  archive.directory("modules");
  for (std::size_t i = 0; i < order.size(); ++i)
    archive.file(fmt::format("modules/{:02}-{}.ko", i, order[i]), without_signature(content(order[i])));
  return std::move(archive).finish();
}

}  // namespace berth::kernel

#include "node/create.hpp"

#include <fmt/core.h>

#include "node/remove.hpp"
#include "unit/unit.hpp"

namespace berth::node {
namespace {

Result<void> pin_image(const Paths& paths, const isolate::UnitConfig& config) {
  if (config.image.empty()) return {};
  auto images = TRY(image::Store::open(paths.root));
  return images.pin(config.id, TRY(images.get_image(config.image_id)));
}

}  // namespace

Result<isolate::UnitConfig> resolve_config(const Paths& paths, const RunOptions& options) {
  const auto kind = TRY_DURING("--unit", isolate::parse_unit(options.unit));
  unit::Unit& unit = unit::unit_of(kind);
  TRY_DURING(fmt::format("--unit {}", options.unit), unit.supported());
  std::optional<image::ResolvedImage> image;
  if (!options.image.empty()) {
    auto images = TRY(image::Store::open(paths.root));
    image = TRY(images.resolve(TRY(images.get_image(options.image))));
  }
  auto config = TRY(make_config(options, image ? &*image : nullptr));
  TRY(unit.check(config));
  return config;
}

Result<sys::Fd> create_instance(const Paths& paths, InstanceStore& store, const isolate::UnitConfig& config) {
  constexpr std::chrono::seconds kForeverAlmost{
      10};  // only a recovery that takes it for a stray can hold it, briefly
  sys::Fd lock = TRY(lock_instance(paths, config.id, kForeverAlmost));
  const auto recorded = store.together([&]() -> Result<void> {
    TRY(store.insert(config));
    TRY_DURING(fmt::format("cannot create {}", config.name), pin_image(paths, config));
    return {};
  });
  if (!recorded) {
    static_cast<void>(sys::remove_tree(paths.run_dir(config.id)));
    return fail(recorded.error());
  }
  if (auto made = sys::make_dir(paths.state_dir(config.id), 0700); !made) {
    static_cast<void>(remove_instance(paths, config));
    return fail(std::move(made).error().during(fmt::format("cannot create {}", config.name)));
  }
  return lock;
}

}  // namespace berth::node

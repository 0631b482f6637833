#include "node/remove.hpp"

#include "image/store/store.hpp"
#include "node/instance_store.hpp"
#include "unit/unit.hpp"

namespace berth::node {

Result<void> remove_instance(const Paths& paths, const isolate::UnitConfig& config) {
  auto store = TRY(InstanceStore::open(paths));
  if (TRY(store.get(config.id)).state != State::Removing) TRY(store.set_state(config.id, State::Removing));
  TRY(unit::unit_of(config.unit).cleanup(config));
  TRY(sys::remove_tree(paths.state_dir(config.id)));
  TRY(store.together([&]() -> Result<void> {
    if (!config.image.empty()) TRY(TRY(image::Store::open(paths.root)).unpin(config.id));
    return store.erase(config.id);
  }));
  return sys::remove_tree(paths.run_dir(config.id));
}

}  // namespace berth::node

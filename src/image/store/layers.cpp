// Unpacked layers, under their chain ids.
#include <fmt/core.h>
#include <stdio.h>

#include "image/store/schema.hpp"
#include "image/store/store.hpp"

namespace berth::image {

std::string Store::layer_path(const Digest& chain_id) const {
  return fmt::format("{}/layers/{}", root_, chain_id.hex());
}

std::string Store::layer_dir(const Digest& chain_id) const { return layer_path(chain_id) + "/fs"; }

Result<std::optional<LayerRecord>> Store::find_layer(const Digest& chain_id) {
  auto update =
      TRY(database_.prepare("UPDATE layers SET used_ns = max(used_ns, ?) WHERE chain_id = ? "
                            "RETURNING diff_id, size_bytes"));
  if (!TRY(update.bind(now_ns()).bind(chain_id.text()).step())) return std::optional<LayerRecord>{};
  LayerRecord record{chain_id, TRY(Digest::parse(update.text(0))),
                     static_cast<std::uint64_t>(update.integer(1))};
  TRY(update.run());
  if (!sys::exists(layer_dir(chain_id)))
    return std::optional<LayerRecord>{};  // removed by hand: to be made again
  return std::optional<LayerRecord>(std::move(record));
}

Result<sys::Fd> Store::lock_layer(const Digest& chain_id) {
  return lock_entry(fmt::format("{}/tmp/layer-{}", root_, chain_id.hex()));
}

Result<void> Store::adopt_layer(const std::string& directory, const LayerRecord& layer) {
  if (TRY(find_layer(layer.chain_id))) return sys::remove_tree(directory);
  const std::string path = layer_path(layer.chain_id);
  TRY(sys::remove_tree(path));  // of somebody who was killed before the row was made
  TRY(sys::make_dir(path, 0711));
  if (::rename(directory.c_str(), layer_dir(layer.chain_id).c_str()) != 0) {
    return fail_errno(fmt::format("cannot store layer {}", layer.chain_id.text()));
  }
  auto insert =
      TRY(database_.prepare("INSERT INTO layers VALUES (?, ?, ?, ?) ON CONFLICT (chain_id) DO UPDATE SET "
                            "size_bytes = excluded.size_bytes, used_ns = excluded.used_ns"));
  return insert.bind(layer.chain_id.text())
      .bind(layer.diff_id.text())
      .bind(static_cast<std::int64_t>(layer.size_bytes))
      .bind(now_ns())
      .run();
}

}  // namespace berth::image

#include "image/archive/save.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <set>

#include "base/json_value.hpp"
#include "image/archive/target.hpp"
#include "image/layer/decoder.hpp"
#include "sys/entry.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

std::string oci_type(const std::string& media_type) {
  if (media_type == media::kDockerLayerGzip) return std::string(media::kOciLayerGzip);
  if (media_type == media::kDockerLayer) return std::string(media::kOciLayer);
  if (media_type == media::kDockerConfig) return std::string(media::kOciConfig);
  return media_type;
}

// Docker's and OCI's documents differ in their types only. The image's id, the configuration's digest, stays.
Manifest as_oci(Manifest manifest) {
  manifest.media_type = media::kOciManifest;
  manifest.config.media_type = oci_type(manifest.config.media_type);
  for (Descriptor& layer : manifest.layers) layer.media_type = oci_type(layer.media_type);
  return manifest;
}

class Saving {
 public:
  Saving(Store& store, Target& target, term::Progress& progress)
      : store_(&store), target_(&target), progress_(&progress) {}

  Result<void> run(const std::vector<SavedImage>& images, bool docker) {
    TRY(docker ? save_docker(images) : save_oci(images));
    return target_->finish();
  }

 private:
  // Each file is written once, however many images share it.
  bool is_new(const std::string& name) { return written_.insert(name).second; }

  Result<void> add_blob(const Descriptor& blob) {
    const std::string name = fmt::format("blobs/{}/{}", blob.digest.algorithm(), blob.digest.hex());
    if (!is_new(name)) return {};
    const std::size_t task = progress_->add(blob.digest.short_id(), "writing", blob.size);
    const sys::Fd fd = TRY(store_->open_blob(blob.digest));
    std::string buffer(kReadBytes, '\0');
    TRY(target_->add(name, blob.size, [&](const Target::Write& write) -> Result<void> {
      for (;;) {
        const std::size_t count = TRY(sys::read_some(fd.get(), buffer));
        if (count == 0) return {};
        TRY(write(std::string_view(buffer).substr(0, count)));
        progress_->advance(task, count);
      }
    }));
    progress_->finish(task, "written");
    return {};
  }

  Result<void> add_text(const std::string& name, const std::string& text) {
    return is_new(name) ? target_->add_text(name, text) : Result<void>();
  }

  Result<void> save_oci(const std::vector<SavedImage>& images) {
    Index index;
    index.media_type = media::kOciIndex;
    TRY(add_text("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
    for (const SavedImage& saved : images) {
      const Manifest stored = TRY(store_->manifest_of(saved.image));
      const bool is_oci = stored.media_type == media::kOciManifest;
      const std::string text =
          is_oci ? TRY(store_->read_blob(saved.image.manifest.digest)) : as_oci(stored).dump();
      Descriptor entry{std::string(media::kOciManifest), digest_of(text), text.size(), {}, {}, {}};
      entry.platform = TRY(store_->config_of(saved.image)).platform;
      TRY(add_text(fmt::format("blobs/sha256/{}", entry.digest.hex()), text));
      TRY(add_blob(stored.config));
      for (const Descriptor& layer : stored.layers) TRY(add_blob(layer));
      if (saved.names.empty()) index.manifests.push_back(entry);
      for (const Reference& name : saved.names) {
        // As containerd and Docker write them: the tag where OCI's tools look for it, and the whole name.
        if (!name.tag.empty()) entry.annotations["org.opencontainers.image.ref.name"] = name.tag;
        entry.annotations["io.containerd.image.name"] = name.text();
        index.manifests.push_back(entry);
      }
    }
    return add_text("index.json", index.dump());
  }

  // Docker's archives hold layers as plain tars under their diff ids. A tar's header wants the size first, so
  // what is compressed is read twice.
  Result<void> add_plain_layer(const Descriptor& blob, const std::string& name) {
    if (!is_new(name)) return {};
    const std::size_t task = progress_->add(blob.digest.short_id(), "writing", 2 * blob.size);
    std::uint64_t size = 0;
    TRY(decode(blob, task, 0, [&size](std::string_view bytes) -> Result<void> {
      size += bytes.size();
      return {};
    }));
    TRY(target_->add(name, size,
                     [&](const Target::Write& write) { return decode(blob, task, blob.size, write); }));
    progress_->finish(task, "written");
    return {};
  }

  Result<void> decode(const Descriptor& blob, std::size_t task, std::uint64_t before,
                      const Target::Write& write) {
    const sys::Fd fd = TRY(store_->open_blob(blob.digest));
    const auto decoder =
        TRY(open_decoder(fd.get(), [&](std::uint64_t done) { progress_->set(task, before + done); }));
    std::string buffer(kReadBytes, '\0');
    for (;;) {
      const std::size_t count = TRY_DURING(blob.digest.text(), decoder->read(buffer));
      if (count == 0) return {};
      TRY(write(std::string_view(buffer).substr(0, count)));
    }
  }

  Result<void> save_docker(const std::vector<SavedImage>& images) {
    Json list = Json::array();
    for (const SavedImage& saved : images) {
      const Manifest manifest = TRY(store_->manifest_of(saved.image));
      const ImageConfig config = TRY(store_->config_of(saved.image));
      const std::string config_name = std::string(saved.image.config.hex()) + ".json";
      Json entry{{"Config", config_name}, {"RepoTags", Json::array()}, {"Layers", Json::array()}};
      for (const Reference& name : saved.names) {
        if (!name.tag.empty()) entry["RepoTags"].push_back(name.name() + ":" + name.tag);
      }
      TRY(add_text(config_name, TRY(store_->read_blob(saved.image.config))));
      for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
        const std::string name = std::string(config.diff_ids[i].hex()) + ".tar";
        TRY(add_plain_layer(manifest.layers[i], name));
        entry["Layers"].push_back(name);
      }
      list.push_back(std::move(entry));
    }
    return add_text("manifest.json", list.dump());
  }

  Store* store_;
  Target* target_;
  term::Progress* progress_;
  std::set<std::string> written_;
};

}  // namespace

Result<ArchiveFormat> parse_archive_format(std::string_view text) {
  if (text == "docker-archive") return ArchiveFormat::DockerArchive;
  if (text == "oci-archive") return ArchiveFormat::OciArchive;
  if (text == "oci-dir") return ArchiveFormat::OciDirectory;
  return fail(Code::InvalidArgument,
              fmt::format("--format {}: use docker-archive, oci-archive or oci-dir", text));
}

Result<void> save_archive(Store& store, const std::vector<SavedImage>& images, ArchiveFormat format, int out,
                          term::Progress& progress) {
  BERTH_ASSERT(format != ArchiveFormat::OciDirectory);
  const auto target = TRY(make_tar_target(out));
  return Saving(store, *target, progress).run(images, format == ArchiveFormat::DockerArchive);
}

Result<void> save_directory(Store& store, const std::vector<SavedImage>& images, const std::string& path,
                            term::Progress& progress) {
  TRY(sys::make_dir(path));
  const sys::Fd directory = TRY(sys::open(path, O_RDONLY | O_DIRECTORY));
  if (!TRY(sys::list_names(directory.get())).empty()) {
    return fail(Code::AlreadyExists, fmt::format("cannot save to {}: the directory is not empty", path));
  }
  const auto target = make_directory_target(path);
  auto saved = Saving(store, *target, progress).run(images, false);
  if (!saved) static_cast<void>(sys::remove_tree(path));
  return saved;
}

}  // namespace berth::image

#include "image/store/store.hpp"

#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "image/store/testing.hpp"

namespace berth::image {
namespace {

using testing::StoreTest;

Descriptor describe(const std::string& bytes) {
  return {std::string(media::kOciLayer), digest_of(bytes), bytes.size(), {}, {}, {}};
}

TEST_F(StoreTest, BlobsAreVerifiedAndKeptOnce) {
  Store store = open();
  const auto put = store.put_blob("hello", media::kOciLayer);
  ASSERT_TRUE(put.has_value()) << put.error().message;
  EXPECT_EQ(*store.read_blob(put->digest), "hello");
  EXPECT_EQ(*store.blob_size(put->digest), 5U);
  auto again = *store.write_blob(describe("hello"));
  EXPECT_TRUE(again.present());
  EXPECT_EQ(again.offset(), 5U);
  EXPECT_TRUE(again.commit().has_value());
  EXPECT_EQ(store.open_blob(digest_of("other")).error().code, Code::NotFound);
  EXPECT_TRUE(store.check()->empty());
}

TEST_F(StoreTest, LyingBlobsAreRefusedAndDropped) {
  Store store = open();
  Descriptor lie = describe("hello");
  lie.digest = digest_of("other");
  {
    auto writer = *store.write_blob(lie);
    ASSERT_TRUE(writer.write("hello").has_value());
    EXPECT_EQ(writer.write("!").error().code, Code::ResourceExhausted);
    EXPECT_EQ(writer.commit().error().code, Code::DataLoss);
  }
  auto writer = *store.write_blob(describe("hello"));
  ASSERT_TRUE(writer.write("hel").has_value());
  EXPECT_EQ(writer.commit().error().code, Code::DataLoss);
  EXPECT_FALSE(*store.has_blob(lie.digest));
}

TEST_F(StoreTest, InterruptedBlobsResume) {
  Store store = open();
  { ASSERT_TRUE(store.write_blob(describe("hello world"))->write("hello").has_value()); }
  ASSERT_TRUE(store.recover().has_value());  // a restart must not throw the bytes away
  auto writer = *store.write_blob(describe("hello world"));
  ASSERT_EQ(writer.offset(), 5U);
  ASSERT_TRUE(writer.write(" world").has_value());
  ASSERT_TRUE(writer.commit().has_value());
  EXPECT_EQ(*store.read_blob(digest_of("hello world")), "hello world");
}

TEST_F(StoreTest, DamagedResumedBytesAreNoticed) {
  Store store = open();
  { ASSERT_TRUE(store.write_blob(describe("hello world"))->write("hellO").has_value()); }
  {
    auto writer = *store.write_blob(describe("hello world"));
    ASSERT_TRUE(writer.write(" world").has_value());
    EXPECT_EQ(writer.commit().error().code, Code::DataLoss);
  }
  EXPECT_EQ(store.write_blob(describe("hello world"))->offset(), 0U);  // the next attempt begins afresh
}

TEST_F(StoreTest, AWriterWaitsForAnother) {
  Store store = open();
  auto first = std::optional(*store.write_blob(describe("hello")));
  std::thread second([this] {
    Store other = open();
    EXPECT_TRUE(other.write_blob(describe("hello"))->present());
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  ASSERT_TRUE(first->write("hello").has_value());
  ASSERT_TRUE(first->commit().has_value());
  first.reset();
  second.join();
}

TEST_F(StoreTest, AWholeFileWithoutRowIsAdopted) {
  Store store = open();
  const Digest digest = store.put_blob("hello", media::kOciLayer)->digest;
  ASSERT_TRUE(
      store.database().execute("DELETE FROM blobs").has_value());  // as if killed before the row was made
  EXPECT_EQ(store.check()->size(), 1U);
  EXPECT_TRUE(store.write_blob(describe("hello"))->present());
  EXPECT_TRUE(store.check()->empty());
  EXPECT_EQ(*store.read_blob(digest), "hello");
}

TEST_F(StoreTest, FindsImagesByNameAndId) {
  Store store = open();
  const Descriptor busybox = make_image(store, "busybox", {"a"});
  make_image(store, "localhost/built:1", {"b"}, "other");
  const auto record = *store.get_image("busybox");
  EXPECT_EQ(record.name, "docker.io/library/busybox:latest");
  EXPECT_EQ(record.manifest.digest, busybox.digest);
  EXPECT_EQ(store.get_image("docker.io/busybox:latest")->name, record.name);
  EXPECT_EQ(store.get_image("built:1")->name, "localhost/built:1");
  const std::string hex(record.config.hex());
  for (const std::string& id : {hex, hex.substr(0, 12), hex.substr(0, 5), "sha256:" + hex,
                                busybox.digest.text(), "busybox@" + busybox.digest.text()}) {
    const auto found = store.get_image(id);
    ASSERT_TRUE(found.has_value()) << id << ": " << found.error().message;
    EXPECT_EQ(found->name, record.name);
  }
  EXPECT_EQ(store.get_image("nothing").error().code, Code::NotFound);
  EXPECT_EQ(store.get_image("Bad!").error().code, Code::InvalidArgument);
}

TEST_F(StoreTest, AmbiguousIdsAreRefused) {
  Store store = open();
  for (int i = 0; i < 60; ++i) make_image(store, fmt::format("x{}", i), {"a"}, fmt::format("{}", i));
  // 60 ids of which the first three digits are looked at: make two of them meet by asking for what they
  // share.
  ASSERT_TRUE(store.database()
                  .execute("UPDATE manifests SET config = 'sha256:abc' || substr(config, 11) WHERE digest IN "
                           "(SELECT digest FROM manifests LIMIT 2)")
                  .has_value());
  const auto found = store.find_image("abc");
  ASSERT_FALSE(found.has_value());
  EXPECT_NE(found.error().message.find("ambiguous"), std::string::npos);
}

TEST_F(StoreTest, SetImageNeedsEveryBlob) {
  Store store = open();
  Manifest manifest;
  manifest.media_type = media::kOciManifest;
  ImageConfig config;
  config.platform = Platform::host();
  config.diff_ids = {digest_of("missing")};
  manifest.config = *store.put_blob(config.dump(), media::kOciConfig);
  manifest.layers = {describe("missing")};
  const Descriptor descriptor = *store.put_blob(manifest.dump(), media::kOciManifest);
  EXPECT_EQ(store.set_image(*Reference::parse("x"), descriptor).error().code, Code::FailedPrecondition);
  EXPECT_TRUE(store.list_images()->empty());
  manifest.layers.clear();
  const Descriptor wrong = *store.put_blob(manifest.dump(), media::kOciManifest);
  EXPECT_EQ(store.set_image(*Reference::parse("x"), wrong).error().code, Code::InvalidArgument);
}

TEST_F(StoreTest, MovingANameLeavesTheOldImageUntagged) {
  Store store = open();
  make_image(store, "x", {"a"}, "one");
  make_image(store, "x", {"a"}, "two");
  ASSERT_EQ(store.list_images()->size(), 2U);
  EXPECT_EQ(store.prune_images(false)->size(), 1U);
  ASSERT_EQ(store.list_images()->size(), 1U);
  EXPECT_EQ(store.config_of(*store.get_image("x"))->cmd[0], "two");
}

TEST_F(StoreTest, ResolveNeedsUnpackedLayersTopFirst) {
  Store store = open();
  make_image(store, "x", {"a", "b"});
  const auto image = *store.get_image("x");
  EXPECT_EQ(store.resolve(image).error().code, Code::FailedPrecondition);
  const Lease lease = *store.lease();
  const auto layers = *store.layers_of(image);
  for (LayerRecord layer : layers) {
    const sys::Fd lock = *store.lock_layer(layer.chain_id);
    layer.size_bytes = 100;
    ASSERT_TRUE(store.adopt_layer(*store.make_work_dir(lease), layer).has_value());
  }
  const auto resolved = store.resolve(image);
  ASSERT_TRUE(resolved.has_value()) << resolved.error().message;
  EXPECT_EQ(resolved->layers,
            (std::vector{store.layer_dir(layers[1].chain_id), store.layer_dir(layers[0].chain_id)}));
  EXPECT_EQ(resolved->config.cmd[0], "true");
  EXPECT_EQ(store.sizes()->at(image.manifest.digest).own_bytes, 200U);
}

TEST_F(StoreTest, SizesTellSharedFromOwn) {
  Store store = open();
  const Descriptor one = make_image(store, "one", {"base", "1"});
  const Descriptor two = make_image(store, "two", {"base", "22"});
  const auto sizes = *store.sizes();
  EXPECT_EQ(sizes.at(one.digest).shared_bytes, 4U);
  EXPECT_EQ(sizes.at(one.digest).own_bytes, 1U);
  EXPECT_EQ(sizes.at(two.digest).total_bytes(), 6U);
}

TEST_F(StoreTest, GcKeepsWhatIsReachable) {
  Store store = open();
  make_image(store, "one", {"base", "1"});
  make_image(store, "two", {"base", "2"});
  ASSERT_EQ(store.gc()->blobs, 0U);
  ASSERT_TRUE(store.remove_name(store.get_image("one")->name).has_value());
  const auto result = *store.gc();
  EXPECT_EQ(result.blobs, 3U);  // manifest, configuration and the layer of its own
  EXPECT_TRUE(*store.has_blob(digest_of("base")));
  EXPECT_FALSE(*store.has_blob(digest_of("1")));
  EXPECT_FALSE(sys::exists(root_ + "/blobs/sha256/" + std::string(digest_of("1").hex())));
  EXPECT_TRUE(store.check()->empty());
}

TEST_F(StoreTest, GcKeepsWhatALiveLeaseUsed) {
  Store store = open();
  ASSERT_TRUE(store.put_blob("old", media::kOciLayer).has_value());
  ASSERT_TRUE(store.put_blob("found", media::kOciLayer).has_value());
  {
    const Lease lease = *store.lease();
    ASSERT_TRUE(store.put_blob("new", media::kOciLayer).has_value());
    ASSERT_TRUE(*store.has_blob(digest_of("found")));
    EXPECT_EQ(open().gc()->blobs, 1U);
    EXPECT_FALSE(*store.has_blob(digest_of("old")));
    EXPECT_TRUE(*store.has_blob(digest_of("new")));
  }
  EXPECT_EQ(store.gc()->blobs, 2U);
  EXPECT_TRUE(store.check()->empty());
}

TEST_F(StoreTest, PinnedImagesStay) {
  Store store = open();
  make_image(store, "x", {"a"});
  const auto image = *store.get_image("x");
  ASSERT_TRUE(store.pin("instance", image).has_value());
  ASSERT_TRUE(store.pin("instance", image).has_value());
  EXPECT_EQ(store.remove_image(image.manifest.digest).error().code, Code::FailedPrecondition);
  ASSERT_TRUE(store.remove_name(image.name).has_value());
  EXPECT_TRUE(store.prune_images(true)->empty());
  EXPECT_EQ(store.gc()->blobs, 0U);
  EXPECT_EQ(*store.pin_owners(), std::vector<std::string>{"instance"});
  ASSERT_TRUE(store.unpin("instance").has_value());
  EXPECT_EQ(store.prune_images(false)->size(), 1U);
  EXPECT_EQ(store.gc()->blobs, 3U);
  EXPECT_EQ(store.pin("late", image).error().code, Code::NotFound);
}

TEST_F(StoreTest, GcRemovesStrayFiles) {
  Store store = open();
  const Digest stray = digest_of("stray");
  ASSERT_TRUE(sys::replace_file(root_ + "/blobs/sha256/" + std::string(stray.hex()), "stray").has_value());
  ASSERT_TRUE(sys::make_dir(root_ + "/layers/" + std::string(stray.hex()) + "/fs/etc").has_value());
  EXPECT_EQ(store.check()->size(), 2U);
  const auto result = *store.gc();
  EXPECT_EQ(result.blobs, 1U);
  EXPECT_EQ(result.layers, 1U);
  EXPECT_TRUE(store.check()->empty());
}

TEST_F(StoreTest, RecoverRemovesWhatTheDeadLeft) {
  Store store = open();
  const pid_t child = ::fork();
  if (child == 0) {
    Store mine = *Store::open(root_);
    const Lease lease = *mine.lease();
    const std::string work = *mine.make_work_dir(lease);
    static_cast<void>(sys::replace_file(work + "/f", "x"));
    ::_exit(0);  // without destructors, as a kill would
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(store.check()->size(), 1U);
  const Lease live = *store.lease();
  const std::string work = *store.make_work_dir(live);
  ASSERT_TRUE(store.recover().has_value());
  EXPECT_TRUE(sys::exists(work));
  EXPECT_TRUE(store.check()->empty());
}

TEST_F(StoreTest, CheckFindsDamage) {
  Store store = open();
  make_image(store, "x", {"layer"});
  const std::string path = root_ + "/blobs/sha256/" + std::string(digest_of("layer").hex());
  ASSERT_TRUE(sys::replace_file(path, "LAYER").has_value());
  ASSERT_EQ(store.check()->size(), 1U);
  EXPECT_NE(store.check()->at(0).find("another digest"), std::string::npos);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  EXPECT_NE(store.check()->at(0).find("missing"), std::string::npos);
  ASSERT_TRUE(store.put_blob("layer", media::kOciLayer).has_value());  // the next pull heals it
  EXPECT_TRUE(store.check()->empty());
}

TEST_F(StoreTest, ADamagedDatabaseIsNamed) {
  ASSERT_TRUE(sys::make_dir(root_).has_value());
  ASSERT_TRUE(sys::replace_file(root_ + "/berth.db", std::string(8192, 'x')).has_value());
  const auto store = Store::open(root_);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, Code::DataLoss);
  EXPECT_NE(store.error().message.find("damaged"), std::string::npos) << store.error().message;
}

}  // namespace
}  // namespace berth::image

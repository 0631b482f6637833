#include "kernel/store/store.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "kernel/store/cpio.hpp"

namespace berth::kernel {
namespace {

class KernelStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "berth-kernels-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { EXPECT_TRUE(sys::remove_tree(root_).has_value()); }

  static Result<KernelRecord> add(const KernelStore& store, const KernelRecord& record,
                                  const KernelParts& parts) {
    return store.add(TRY(store.workshop()), record, parts);
  }

  std::string root_;
  KernelParts parts_{"elf", "cpio"};
};

TEST_F(KernelStoreTest, TheFirstBecomesTheDefault) {
  const KernelStore store(root_);
  EXPECT_EQ(store.find("").error().code, Code::FailedPrecondition);
  ASSERT_TRUE(add(store, {.name = "6.1", .source = "a.deb", .modules = {"virtio"}}, parts_).has_value());
  ASSERT_TRUE(add(store, {.name = "6.2", .source = "b.deb"}, parts_).has_value());
  const auto found = store.find("");
  ASSERT_TRUE(found.has_value()) << found.error().message;
  EXPECT_EQ(found->name, "6.1");
  EXPECT_EQ(found->modules, std::vector<std::string>{"virtio"});
  EXPECT_EQ(found->size_bytes, 7U);
  EXPECT_EQ(*sys::read_file(found->vmlinux()), "elf");
  EXPECT_EQ(store.list()->size(), 2U);
}

TEST_F(KernelStoreTest, ReplacesAndRemoves) {
  const KernelStore store(root_);
  ASSERT_TRUE(add(store, {.name = "k", .source = "a"}, parts_).has_value());
  ASSERT_TRUE(add(store, {.name = "k", .source = "b"}, {"new", ""}).has_value());
  EXPECT_EQ(store.find("k")->source, "b");
  ASSERT_TRUE(add(store, {.name = "l", .source = "c"}, parts_).has_value());
  ASSERT_TRUE(store.remove("k").has_value());
  EXPECT_EQ(store.find("")->name, "l");
  ASSERT_TRUE(store.remove("l").has_value());
  EXPECT_TRUE(store.list()->empty());
  EXPECT_FALSE(store.find("").has_value());
}

TEST_F(KernelStoreTest, WhatAKilledMakerLeftIsRemoved) {
  const KernelStore store(root_);
  ASSERT_TRUE(sys::make_dir(root_ + "/kernels/.new/fresh").has_value());
  EXPECT_TRUE(store.list()->empty());
  ASSERT_TRUE(add(store, {.name = "k", .source = "a"}, parts_).has_value());
  EXPECT_FALSE(sys::exists(root_ + "/kernels/.new"));
}

TEST_F(KernelStoreTest, NamesStayInTheDirectory) {
  for (const char* name : {"", "..", "a/b", ".hidden", "default", "lock", "-x"})
    EXPECT_FALSE(check_kernel_name(name).has_value()) << name;
  EXPECT_TRUE(check_kernel_name("6.1.0-56-cloud-amd64").has_value());
  EXPECT_FALSE(KernelStore(root_).find("../x").has_value());
}

TEST(Cpio, EntriesAreAligned) {
  CpioWriter writer;
  writer.directory("d");
  writer.file("d/f", "12345", 0755);
  const std::string bytes = std::move(writer).finish();
  EXPECT_EQ(bytes.size() % 4, 0U);
  EXPECT_EQ(bytes.substr(0, 6), "070701");
  EXPECT_NE(bytes.find("d/f"), std::string::npos);
  EXPECT_NE(bytes.find("12345"), std::string::npos);
  EXPECT_NE(bytes.find("TRAILER!!!"), std::string::npos);
}

}  // namespace
}  // namespace berth::kernel

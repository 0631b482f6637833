#include "kernel/unpack/guest_modules.hpp"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>

namespace berth::kernel {
namespace {

// An ELF file with the sections of names and of .modinfo alone.
std::string module_file(std::string modinfo) {
  const std::string names("\0.modinfo\0", 10);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_shoff = sizeof header;
  header.e_shnum = 2;
  header.e_shstrndx = 0;
  Elf64_Shdr sections[2]{};
  sections[0].sh_type = sections[1].sh_type = SHT_PROGBITS;
  sections[0].sh_offset = sizeof header + sizeof sections;
  sections[0].sh_size = names.size();
  sections[1].sh_name = 1;
  sections[1].sh_offset = sections[0].sh_offset + names.size();
  sections[1].sh_size = modinfo.size();
  std::string file(reinterpret_cast<const char*>(&header), sizeof header);
  file.append(reinterpret_cast<const char*>(sections), sizeof sections);
  return file + names + modinfo;
}

TEST(ModuleInfo, ReadsWhatIsNeededAndPreferred) {
  const auto info = read_module_info(module_file(std::string(
      "name=libcrc32c\0alias=crypto-crc\0depends=a,virtio-ring\0softdep=pre: crc32c x post: y\0", 84)));
  ASSERT_TRUE(info.has_value()) << info.error().message;
  EXPECT_EQ(info->name, "libcrc32c");
  EXPECT_EQ(info->aliases, std::vector<std::string>{"crypto_crc"});
  EXPECT_EQ(info->needs, (std::vector<std::string>{"a", "virtio_ring"}));
  EXPECT_EQ(info->prefers, (std::vector<std::string>{"crc32c", "x"}));
}

TEST(ModuleInfo, RefusesOthersAndLies) {
  EXPECT_FALSE(read_module_info("").has_value());
  EXPECT_FALSE(read_module_info("\x7f"
                                "ELF")
                   .has_value());
  std::string file = module_file(std::string("name=x\0", 7));
  EXPECT_TRUE(read_module_info(file).has_value());
  for (std::size_t length = 0; length < file.size(); ++length)
    EXPECT_FALSE(read_module_info(file.substr(0, length)).has_value()) << length;
}

TEST(ModuleInfo, LeavesTheSignatureOut) {
  const std::string trailer("\0\0\2\0\0\0\0\0\0\0\0\4", 12);
  const std::string mark = "~Module signature appended~\n";
  EXPECT_EQ(without_signature("body"
                              "SIGN" +
                              trailer + mark),
            "body");
  const std::string lying = "body" + std::string("\0\0\2\0\0\0\0\0\0\1\0\4", 12) + mark;
  EXPECT_EQ(without_signature(lying), lying);
  EXPECT_EQ(without_signature("body"), "body");
}

ModuleCatalogue complete() {
  ModuleCatalogue all;
  for (const char* name : {"virtio_blk", "virtio_rng", "vmw_vsock_virtio_transport", "overlay", "virtio",
                           "crc32c_intel", "crc32c_generic"})
    all.modules[name].name = name;
  all.modules["erofs"] = {"erofs", {"libcrc32c"}, {}, {}};
  all.modules["libcrc32c"] = {"libcrc32c", {}, {"crc32c"}, {}};
  all.modules["crc32c_intel"].aliases = all.modules["crc32c_generic"].aliases = {"crc32c"};
  all.modules["virtio_pci"] = {"virtio_pci", {"virtio"}, {}, {}};
  return all;
}

TEST(GuestModules, ComeBehindWhatTheyNeed) {
  const auto order = guest_modules(complete());
  ASSERT_TRUE(order.has_value()) << order.error().message;
  const auto place = [&](const char* name) {
    return std::find(order->begin(), order->end(), name) - order->begin();
  };
  EXPECT_EQ(place("virtio"), 0);
  EXPECT_LT(place("crc32c_generic"), place("libcrc32c"));
  EXPECT_LT(place("libcrc32c"), place("erofs"));
  EXPECT_EQ(std::count(order->begin(), order->end(), "crc32c_intel"), 0);
}

TEST(GuestModules, BuiltInOnesAreLeftOutAndMissingOnesNamed) {
  ModuleCatalogue all = complete();
  all.modules.erase("overlay");
  EXPECT_NE(guest_modules(all).error().message.find("overlay"), std::string::npos);
  all.built_in.insert("overlay");
  EXPECT_TRUE(guest_modules(all).has_value());
}

TEST(GuestModules, ADriverThatAMachineCanDoWithoutComesWhereItIs) {
  ModuleCatalogue all = complete();
  EXPECT_EQ(guest_modules(all)->back(), "overlay");
  all.modules["virtio_net"] = {"virtio_net", {"net_failover"}, {}, {}};
  all.modules["net_failover"].name = "net_failover";
  const auto order = *guest_modules(all);
  EXPECT_EQ(order.back(), "virtio_net");
  EXPECT_EQ(order[order.size() - 2], "net_failover");
}

TEST(GuestModules, ACircleEnds) {
  ModuleCatalogue all = complete();
  all.modules["virtio"].needs = {"virtio_pci"};
  EXPECT_TRUE(guest_modules(all).has_value());
}

}  // namespace
}  // namespace berth::kernel

#include "engine/soft/backend.hpp"

#include "engine/soft/soft_vcpu.hpp"
#include "x86/cpuid.hpp"

namespace berth::engine::soft {
namespace {

CpuidTable make_features() {
  CpuidTable table;
  const auto add = [&table](std::uint32_t leaf, std::uint32_t subleaf, bool indexed) {
    const x86::CpuidLeaf from = x86::feature_leaf(leaf, subleaf);
    table.push_back({leaf, subleaf, indexed, {from.eax, from.ebx, from.ecx, from.edx}});
  };
  for (const std::uint32_t leaf : {0u, 1u}) add(leaf, 0, false);
  add(7, 0, true);
  for (std::uint32_t subleaf = 0; subleaf < 3; ++subleaf) add(0xd, subleaf, true);
  for (std::uint32_t leaf = 0x80000000; leaf <= 0x80000008; ++leaf) add(leaf, 0, false);
  return table;
}

class SoftBackend final : public Backend {
 public:
  SoftBackend(const guest::GuestMemory& memory, Tiers tiers)
      : memory_(memory),
        tiers_(tiers),
        processors_(std::make_shared<Processors>(memory)),
        features_(make_features()) {}

  std::string_view name() const override { return "soft"; }
  const CpuidTable& features() const override { return features_; }
  Result<std::unique_ptr<VcpuEngine>> make_vcpu(unsigned index, Machine& machine,
                                                const CpuidTable& cpuid) override {
    static_cast<void>(cpuid);  // the machine answers with it
    BERTH_ASSERT(index < CodePages::kMostProcessors);
    return make_soft_vcpu(memory_, machine, tiers_, {processors_, index});
  }

 private:
  const guest::GuestMemory& memory_;
  Tiers tiers_;
  std::shared_ptr<Processors> processors_;
  CpuidTable features_;
};

}  // namespace

Result<std::unique_ptr<Backend>> make_backend(const guest::GuestMemory& memory, Tiers tiers) {
  return std::unique_ptr<Backend>(std::make_unique<SoftBackend>(memory, tiers));
}

}  // namespace berth::engine::soft

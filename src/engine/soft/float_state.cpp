// Saving and restoring x87, SSE and AVX state: FXSAVE, the XSAVE family, the x87 environment, MXCSR.
#include <algorithm>
#include <bit>

#include "engine/soft/access.hpp"
#include "engine/soft/decoded.hpp"
#include "engine/soft/native_ops.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

constexpr std::size_t kFxBytes = 512, kXmmAt = 160, kMxcsrAt = 24, kHeaderAt = 512, kUpperAt = 576,
                      kAllBytes = 832;
constexpr std::uint64_t kX87 = 1, kSse = 2, kAvx = 4;
constexpr std::uint64_t kCompacted = std::uint64_t{1} << 63;
constexpr std::uint32_t kMxcsrMask = 0xffff, kMxcsrInit = 0x1f80;

using Area = std::array<std::byte, kAllBytes>;

void load_range(Cpu& cpu, std::uint64_t linear, std::byte* out, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes; done += 8) {
    const auto value = load<std::uint64_t>(cpu, linear + done);
    std::memcpy(out + done, &value, sizeof value);
  }
}
void store_range(Cpu& cpu, std::uint64_t linear, const std::byte* data, std::size_t bytes) {
  for (std::size_t done = 0; done < bytes; done += 8) {
    std::uint64_t value = 0;
    std::memcpy(&value, data + done, sizeof value);
    store(cpu, linear + done, value);
  }
}

std::size_t xmm_count(const Cpu& cpu) { return cpu.is_64bit() ? 16 : 8; }

// FXSAVE's image without XMM; outside of 64-bit forms the pointers are 32 bits wide, and the selectors behind
// them are not kept.
void put_x87(const Cpu& cpu, bool wide, std::byte* area) {
  std::memcpy(area, cpu.native.fx.data(), kMxcsrAt);
  if (!wide) {
    std::fill_n(area + 12, 4, std::byte{});
    std::fill_n(area + 20, 4, std::byte{});
  }
  std::memcpy(area + 32, cpu.native.fx.data() + 32, kXmmAt - 32);
}
void put_mxcsr(const Cpu& cpu, std::byte* area) {
  const std::uint32_t value = get_mxcsr(cpu);
  std::memcpy(area + kMxcsrAt, &value, sizeof value);
  std::memcpy(area + kMxcsrAt + 4, &kMxcsrMask, sizeof kMxcsrMask);
}
void put_xmm(const Cpu& cpu, std::byte* area) {
  for (std::size_t i = 0; i < xmm_count(cpu); ++i)
    std::memcpy(area + kXmmAt + i * 16, cpu.native.vector[i].data(), 16);
}
void put_upper(const Cpu& cpu, std::byte* area) {
  for (std::size_t i = 0; i < xmm_count(cpu); ++i) {
    std::memcpy(area + kUpperAt + i * 16, cpu.native.vector[i].data() + 16, 16);
  }
}

void take_x87(Cpu& cpu, const std::byte* area) {
  std::memcpy(cpu.native.fx.data(), area, kMxcsrAt);
  std::memcpy(cpu.native.fx.data() + 32, area + 32, kXmmAt - 32);
  // ES and B follow from the exceptions and their masks.
  auto& fx = cpu.native.fx;
  fx[0] = (fx[0] & std::byte{0x7f}) | std::byte{0x40};  // bits that there are none of
  fx[1] &= std::byte{0x1f};
  const auto raised = static_cast<unsigned>(fx[2]) & ~static_cast<unsigned>(fx[0]) & 0x3f;
  fx[2] = (fx[2] & std::byte{0x7f}) | std::byte{raised != 0 ? std::uint8_t{0x80} : std::uint8_t{0}};
  fx[3] = (fx[3] & std::byte{0x7f}) | std::byte{raised != 0 ? std::uint8_t{0x80} : std::uint8_t{0}};
}
void init_x87(Cpu& cpu) {
  std::fill_n(cpu.native.fx.begin(), kXmmAt, std::byte{});
  cpu.native.fx[0] = std::byte{0x7f};
  cpu.native.fx[1] = std::byte{0x03};
}
void take_xmm(Cpu& cpu, const std::byte* area) {
  for (std::size_t i = 0; i < xmm_count(cpu); ++i)
    std::memcpy(cpu.native.vector[i].data(), area + kXmmAt + i * 16, 16);
}
void take_upper(Cpu& cpu, const std::byte* area) {
  for (std::size_t i = 0; i < xmm_count(cpu); ++i) {
    std::memcpy(cpu.native.vector[i].data() + 16, area + kUpperAt + i * 16, 16);
  }
}
std::uint32_t mxcsr_in(const std::byte* area) {
  std::uint32_t value = 0;
  std::memcpy(&value, area + kMxcsrAt, sizeof value);
  return value;
}

const Op* fx_save(Cpu& cpu, const Op* op) {
  const std::uint64_t linear = operand_address(cpu, op, kFxBytes, true);
  if ((linear & 15) != 0) raise(cpu, Vector::Gp);
  check_store(cpu, linear, kFxBytes);
  std::array<std::byte, kFxBytes> area{};
  put_x87(cpu, op->operand_bytes == 8, area.data());
  put_mxcsr(cpu, area.data());
  put_xmm(cpu, area.data());
  store_range(cpu, linear, area.data(), kXmmAt + 16 * xmm_count(cpu));
  return op + 1;
}

const Op* fx_restore(Cpu& cpu, const Op* op) {
  const std::uint64_t linear = operand_address(cpu, op, kFxBytes, false);
  if ((linear & 15) != 0) raise(cpu, Vector::Gp);
  std::array<std::byte, kFxBytes> area{};
  load_range(cpu, linear, area.data(), kFxBytes);
  if ((mxcsr_in(area.data()) & ~kMxcsrMask) != 0) raise(cpu, Vector::Gp);
  take_x87(cpu, area.data());
  set_mxcsr(cpu, mxcsr_in(area.data()));
  take_xmm(cpu, area.data());
  return op + 1;
}

std::uint64_t requested_features(Cpu& cpu) {
  if ((cpu.arch.cr4 & cr4::kOsxsave) == 0) raise(cpu, Vector::Ud);
  if ((cpu.arch.cr0 & cr0::kTs) != 0) raise(cpu, Vector::Nm);
  const std::uint64_t asked = std::uint64_t{get<std::uint32_t>(cpu, offset_of(Gpr::Rdx))} << 32 |
                              get<std::uint32_t>(cpu, offset_of(Gpr::Rax));
  return asked & cpu.arch.xcr0;
}

// `immediate` bit 0: compacted (XSAVEC). Everything enabled counts as in use; AVX alone lies behind the
// header, so that both formats have it at the same place.
const Op* x_save(Cpu& cpu, const Op* op) {
  const std::uint64_t features = requested_features(cpu);
  const bool compacted = op->immediate != 0;
  const std::size_t bytes = (features & kAvx) != 0 ? kAllBytes : kUpperAt;
  const std::uint64_t linear = operand_address(cpu, op, static_cast<unsigned>(bytes), true);
  if ((linear & 63) != 0) raise(cpu, Vector::Gp);
  check_store(cpu, linear, static_cast<unsigned>(bytes));
  Area area{};
  put_x87(cpu, op->operand_bytes == 8, area.data());
  put_mxcsr(cpu, area.data());
  put_xmm(cpu, area.data());
  put_upper(cpu, area.data());
  const std::uint64_t old = compacted ? 0 : load<std::uint64_t>(cpu, linear + kHeaderAt);
  if ((features & kX87) != 0) {
    store_range(cpu, linear, area.data(), kMxcsrAt);
    store_range(cpu, linear + 32, area.data() + 32, kXmmAt - 32);
  }
  if ((features & (compacted ? kSse : kSse | kAvx)) != 0)
    store_range(cpu, linear + kMxcsrAt, area.data() + kMxcsrAt, 8);
  if ((features & kSse) != 0) store_range(cpu, linear + kXmmAt, area.data() + kXmmAt, 16 * xmm_count(cpu));
  if ((features & kAvx) != 0)
    store_range(cpu, linear + kUpperAt, area.data() + kUpperAt, 16 * xmm_count(cpu));
  store(cpu, linear + kHeaderAt, (old & ~features) | features);
  if (compacted) {
    store(cpu, linear + kHeaderAt + 8, features | kCompacted);
    for (unsigned i = 16; i < 64; i += 8) store(cpu, linear + kHeaderAt + i, std::uint64_t{0});
  }
  return op + 1;
}

// XRSTOR's checks of the header (SDM vol. 1, 13.8).
void check_header(Cpu& cpu, const Area& area, std::uint64_t present, std::uint64_t layout) {
  bool bad = false;
  if ((layout & kCompacted) != 0) {
    bad = ((layout & ~kCompacted) & ~cpu.arch.xcr0) != 0 || (present & ~layout) != 0;
  } else {
    bad = layout != 0 || (present & ~cpu.arch.xcr0) != 0;
  }
  const std::size_t zeros_from = kHeaderAt + 16,
                    zeros_to = (layout & kCompacted) != 0 ? kHeaderAt + 64 : kHeaderAt + 24;
  for (std::size_t i = zeros_from; i < zeros_to; ++i) bad |= area[i] != std::byte{};
  if (bad) raise(cpu, Vector::Gp);
}

const Op* x_restore(Cpu& cpu, const Op* op) {
  const std::uint64_t features = requested_features(cpu);
  const std::size_t bytes = (features & kAvx) != 0 ? kAllBytes : kUpperAt;
  const std::uint64_t linear = operand_address(cpu, op, static_cast<unsigned>(bytes), false);
  if ((linear & 63) != 0) raise(cpu, Vector::Gp);
  Area area{};
  load_range(cpu, linear, area.data(), bytes);
  std::uint64_t present = 0, layout = 0;
  std::memcpy(&present, area.data() + kHeaderAt, sizeof present);
  std::memcpy(&layout, area.data() + kHeaderAt + 8, sizeof layout);
  check_header(cpu, area, present, layout);
  const bool compacted = (layout & kCompacted) != 0;
  const bool takes_mxcsr = compacted ? (features & present & kSse) != 0 : (features & (kSse | kAvx)) != 0;
  if (takes_mxcsr && (mxcsr_in(area.data()) & ~kMxcsrMask) != 0) raise(cpu, Vector::Gp);
  const Area zeros{};
  if ((features & kX87) != 0) {
    if ((present & kX87) != 0) {
      take_x87(cpu, area.data());
    } else {
      init_x87(cpu);
    }
  }
  if ((features & kSse) != 0) take_xmm(cpu, (present & kSse) != 0 ? area.data() : zeros.data());
  if ((features & kAvx) != 0) take_upper(cpu, (present & kAvx) != 0 ? area.data() : zeros.data());
  if (takes_mxcsr) {
    set_mxcsr(cpu, mxcsr_in(area.data()));
  } else if (compacted && (features & kSse) != 0) {
    set_mxcsr(cpu, kMxcsrInit);
  }
  return op + 1;
}

const Op* load_mxcsr(Cpu& cpu, const Op* op) {
  const auto value = load<std::uint32_t>(cpu, operand_address(cpu, op, 4, false));
  if ((value & ~kMxcsrMask) != 0) raise(cpu, Vector::Gp);
  set_mxcsr(cpu, value);
  return op + 1;
}
const Op* store_mxcsr(Cpu& cpu, const Op* op) {
  store(cpu, operand_address(cpu, op, 4, true), get_mxcsr(cpu));
  return op + 1;
}

template <bool LowerToo>
const Op* zero_vectors(Cpu& cpu, const Op* op) {
  for (std::size_t i = 0; i < xmm_count(cpu); ++i) {
    std::fill(cpu.native.vector[i].begin() + (LowerToo ? 0 : 16), cpu.native.vector[i].end(), std::byte{});
  }
  return op + 1;
}

template <std::uint8_t Bytes>
Handler sized(Op& op, Handler handler, std::uint64_t immediate = 0) {
  op.operand_bytes = Bytes;
  op.immediate = immediate;
  return handler;
}

}  // namespace

Handler select_float_state(const Decoded& decoded, Op& op) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_FXSAVE:
      return sized<4>(op, fx_save);
    case ZYDIS_MNEMONIC_FXSAVE64:
      return sized<8>(op, fx_save);
    case ZYDIS_MNEMONIC_FXRSTOR:
      return sized<4>(op, fx_restore);
    case ZYDIS_MNEMONIC_FXRSTOR64:
      return sized<8>(op, fx_restore);
    case ZYDIS_MNEMONIC_XSAVE:
    case ZYDIS_MNEMONIC_XSAVEOPT:
      return sized<4>(op, x_save);
    case ZYDIS_MNEMONIC_XSAVE64:
    case ZYDIS_MNEMONIC_XSAVEOPT64:
      return sized<8>(op, x_save);
    case ZYDIS_MNEMONIC_XSAVEC:
      return sized<4>(op, x_save, 1);
    case ZYDIS_MNEMONIC_XSAVEC64:
      return sized<8>(op, x_save, 1);
    case ZYDIS_MNEMONIC_XRSTOR:
      return sized<4>(op, x_restore);
    case ZYDIS_MNEMONIC_XRSTOR64:
      return sized<8>(op, x_restore);
    case ZYDIS_MNEMONIC_LDMXCSR:
    case ZYDIS_MNEMONIC_VLDMXCSR:
      return load_mxcsr;
    case ZYDIS_MNEMONIC_STMXCSR:
    case ZYDIS_MNEMONIC_VSTMXCSR:
      return store_mxcsr;
    case ZYDIS_MNEMONIC_VZEROALL:
      return zero_vectors<true>;
    case ZYDIS_MNEMONIC_VZEROUPPER:
      return zero_vectors<false>;
    default:
      return select_x87_environment(decoded, op);
  }
}

}  // namespace berth::engine::soft

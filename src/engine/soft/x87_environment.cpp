// FNSTENV, FLDENV, FNSAVE and FRSTOR, whose layout depends on the mode and the operand size (SDM vol.
// 1, 8.1.10).
#include <algorithm>

#include "engine/soft/access.hpp"
#include "engine/soft/decoded.hpp"

namespace berth::engine::soft {
namespace {

constexpr std::size_t kRegisters = 32, kRegisterBytes = 16, kStackBytes = 10;

std::uint16_t word(const Cpu& cpu, std::size_t offset) {
  std::uint16_t value = 0;
  std::memcpy(&value, cpu.native.fx.data() + offset, sizeof value);
  return value;
}
void set_word(Cpu& cpu, std::size_t offset, std::uint16_t value) {
  std::memcpy(cpu.native.fx.data() + offset, &value, sizeof value);
}
std::uint64_t pointer(const Cpu& cpu, std::size_t offset) {
  std::uint64_t value = 0;
  std::memcpy(&value, cpu.native.fx.data() + offset, sizeof value);
  return value;
}

unsigned top(const Cpu& cpu) { return word(cpu, 2) >> 11 & 7u; }

// Two bits a register: 0 valid, 1 zero, 2 special, 3 empty. FXSAVE keeps one.
unsigned tag_of(const Cpu& cpu, unsigned physical) {
  if ((static_cast<unsigned>(cpu.native.fx[4]) >> physical & 1) == 0) return 3;
  const unsigned slot = (physical - top(cpu)) & 7;
  std::uint64_t significand = 0;
  std::memcpy(&significand, cpu.native.fx.data() + kRegisters + slot * kRegisterBytes, sizeof significand);
  const unsigned exponent = word(cpu, kRegisters + slot * kRegisterBytes + 8) & 0x7fffu;
  if (exponent == 0) return significand == 0 ? 1 : 2;
  return exponent == 0x7fff || significand >> 63 == 0 ? 2 : 0;
}

std::uint16_t full_tags(const Cpu& cpu) {
  unsigned tags = 0;
  for (unsigned i = 0; i < 8; ++i) tags |= tag_of(cpu, i) << (2 * i);
  return static_cast<std::uint16_t>(tags);
}

unsigned environment_bytes(const Op* op) { return op->operand_bytes == 2 ? 14 : 28; }

std::array<std::byte, 28> make_environment(const Cpu& cpu, const Op* op) {
  std::array<std::byte, 28> image{};
  const std::uint64_t rip = pointer(cpu, 8), data = pointer(cpu, 16);
  const auto opcode = static_cast<std::uint32_t>(word(cpu, 6) & 0x7ff);
  const bool real = cpu.is_real_or_v86();
  std::array<std::uint32_t, 7> fields{word(cpu, 0), word(cpu, 2), full_tags(cpu)};
  fields[3] = static_cast<std::uint32_t>(rip);
  fields[5] = static_cast<std::uint32_t>(data);
  if (op->operand_bytes == 2) {
    fields[4] = real ? static_cast<std::uint32_t>(rip >> 4 & 0xf000) | opcode : 0;
    fields[6] = real ? static_cast<std::uint32_t>(data >> 4 & 0xf000) : 0;
    for (unsigned i = 0; i < 7; ++i) {
      const auto value = static_cast<std::uint16_t>(fields[i]);
      std::memcpy(image.data() + i * 2, &value, sizeof value);
    }
    return image;
  }
  for (unsigned i = 0; i < 3; ++i) fields[i] |= 0xffff0000;
  fields[4] = real ? static_cast<std::uint32_t>(rip >> 4 & 0xffff000) | opcode : opcode << 16;
  fields[6] = real ? static_cast<std::uint32_t>(data >> 4 & 0xffff000) : 0xffff0000;
  std::memcpy(image.data(), fields.data(), image.size());
  return image;
}

void take_environment(Cpu& cpu, const Op* op, const std::array<std::byte, 28>& image) {
  const std::size_t step = op->operand_bytes == 2 ? 2 : 4;
  const auto field = [&](std::size_t i) {
    std::uint32_t value = 0;
    std::memcpy(&value, image.data() + i * step, step);
    return value;
  };
  const std::uint32_t control = field(0), tags = field(2);
  std::uint32_t status = field(1) & ~0x8080u;
  if ((status & ~control & 0x3f) != 0) status |= 0x8080;
  set_word(cpu, 0, static_cast<std::uint16_t>((control & 0x1f7f) | 0x40));
  set_word(cpu, 2, static_cast<std::uint16_t>(status));
  unsigned abridged = 0;
  for (unsigned i = 0; i < 8; ++i) abridged |= ((tags >> (2 * i) & 3) != 3 ? 1u : 0u) << i;
  cpu.native.fx[4] = static_cast<std::byte>(abridged);
  const std::uint64_t rip = field(3), data = field(5);
  std::memcpy(cpu.native.fx.data() + 8, &rip, sizeof rip);
  std::memcpy(cpu.native.fx.data() + 16, &data, sizeof data);
  set_word(cpu, 6, static_cast<std::uint16_t>((op->operand_bytes == 2 ? 0 : field(4) >> 16) & 0x7ff));
}

const Op* store_environment(Cpu& cpu, const Op* op) {
  const auto image = make_environment(cpu, op);
  store_slow(cpu, operand_address(cpu, op, environment_bytes(op), true), image.data(), environment_bytes(op),
             Intent::Normal);
  set_word(cpu, 0, word(cpu, 0) | 0x3f);  // all masked from now on
  set_word(cpu, 2, word(cpu, 2) & 0x7f7f);
  return op + 1;
}

// The registers are kept as FXSAVE stores them, from the top on, and stay where they are as the top moves.
const Op* load_environment(Cpu& cpu, const Op* op) {
  std::array<std::byte, 28> image{};
  load_slow(cpu, operand_address(cpu, op, environment_bytes(op), false), image.data(), environment_bytes(op),
            Intent::Normal);
  const auto top = [&cpu] { return static_cast<unsigned>(word(cpu, 2)) >> 11 & 7; };
  const unsigned old_top = top();
  take_environment(cpu, op, image);
  const auto registers = cpu.native.fx.begin() + kRegisters;
  std::rotate(registers, registers + ((top() - old_top) & 7) * kRegisterBytes,
              registers + 8 * kRegisterBytes);
  return op + 1;
}

const Op* save_all(Cpu& cpu, const Op* op) {
  const unsigned bytes = environment_bytes(op);
  std::array<std::byte, 28 + 8 * kStackBytes> all{};
  const auto image = make_environment(cpu, op);
  std::copy_n(image.begin(), bytes, all.begin());
  for (std::size_t i = 0; i < 8; ++i) {
    std::memcpy(all.data() + bytes + i * kStackBytes, cpu.native.fx.data() + kRegisters + i * kRegisterBytes,
                kStackBytes);
  }
  const auto total = static_cast<unsigned>(bytes + 8 * kStackBytes);
  store_slow(cpu, operand_address(cpu, op, total, true), all.data(), total, Intent::Normal);
  std::fill_n(cpu.native.fx.begin(), 24, std::byte{});  // as FNINIT leaves it
  set_word(cpu, 0, 0x37f);
  return op + 1;
}

const Op* restore_all(Cpu& cpu, const Op* op) {
  const unsigned bytes = environment_bytes(op);
  std::array<std::byte, 28 + 8 * kStackBytes> all{};
  const auto total = static_cast<unsigned>(bytes + 8 * kStackBytes);
  load_slow(cpu, operand_address(cpu, op, total, false), all.data(), total, Intent::Normal);
  std::array<std::byte, 28> image{};
  std::copy_n(all.begin(), bytes, image.begin());
  take_environment(cpu, op, image);
  for (std::size_t i = 0; i < 8; ++i) {
    std::memcpy(cpu.native.fx.data() + kRegisters + i * kRegisterBytes, all.data() + bytes + i * kStackBytes,
                kStackBytes);
  }
  return op + 1;
}

}  // namespace

Handler select_x87_environment(const Decoded& decoded, Op& op) {
  op.operand_bytes = decoded.instruction.operand_width == 16 ? 2 : 4;
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_FNSTENV:
      return store_environment;
    case ZYDIS_MNEMONIC_FLDENV:
      return load_environment;
    case ZYDIS_MNEMONIC_FNSAVE:
      return save_all;
    case ZYDIS_MNEMONIC_FRSTOR:
      return restore_all;
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

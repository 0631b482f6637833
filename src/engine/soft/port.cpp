#include "engine/soft/access.hpp"
#include "engine/soft/decoded.hpp"
#include "engine/soft/port_check.hpp"

namespace berth::engine::soft {
namespace {

using x86::Gpr;

std::uint16_t port_of(const Cpu& cpu, const Op* op) {
  return op->has(Op::kImmediate) ? static_cast<std::uint8_t>(op->immediate)
                                 : get<std::uint16_t>(cpu, offset_of(Gpr::Rdx));
}

const Op* input(Cpu& cpu, const Op* op) {
  const std::uint16_t port = port_of(cpu, op);
  check_port(cpu, port, op->operand_bytes);
  set_bytes(cpu, offset_of(Gpr::Rax), op->operand_bytes, read_port(cpu, port, op->operand_bytes));
  return end_block(cpu, op);
}

const Op* output(Cpu& cpu, const Op* op) {
  const std::uint16_t port = port_of(cpu, op);
  check_port(cpu, port, op->operand_bytes);
  write_port(cpu, port, op->operand_bytes,
             static_cast<std::uint32_t>(get_bytes(cpu, offset_of(Gpr::Rax), op->operand_bytes)));
  return end_block(cpu, op);
}

}  // namespace

void check_port(Cpu& cpu, std::uint16_t port, unsigned bytes) {
  if (!cpu.is_protected() || (!cpu.is_v86() && cpu.cpl <= cpu.iopl())) return;
  const x86::Segment& tss = cpu.arch.tr;
  const bool is_32 = (tss.attributes & 8) != 0;
  if (!is_32 || tss.limit < 103) raise(cpu, x86::Vector::Gp);
  const std::uint32_t map = load_system<std::uint16_t>(cpu, tss.base + 102) + port / 8u;
  if (map + 1 > tss.limit) raise(cpu, x86::Vector::Gp);
  const unsigned bits = load_system<std::uint16_t>(cpu, tss.base + map) >> (port & 7);
  if ((bits & ((1u << bytes) - 1)) != 0) raise(cpu, x86::Vector::Gp);
}

Handler select_port(const Decoded& decoded, Op& op) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_IN:
      op.operand_bytes = static_cast<std::uint8_t>(decoded.bytes(0));
      return input;
    case ZYDIS_MNEMONIC_OUT:
      op.operand_bytes = static_cast<std::uint8_t>(decoded.bytes(1));
      return output;
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

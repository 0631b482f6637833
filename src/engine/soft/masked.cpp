// Vector loads and stores that touch memory element by element, under a mask: gathers, VMASKMOV, VPMASKMOV,
// MASKMOVQ and MASKMOVDQU. Elements that are masked off are not accessed and so cannot fault.
#include <algorithm>

#include "engine/soft/access.hpp"
#include "engine/soft/decoded.hpp"

namespace berth::engine::soft {
namespace {

// What Op says of these, beside its memory operand.
struct Shape {
  std::uint8_t element_bytes;
  std::uint8_t total_bytes;  // of the vectors
  std::uint8_t mask;         // register
  std::uint8_t index;        // register, of gathers
  std::uint8_t index_bytes;  // of one index
  std::uint8_t count;        // elements
};

std::uint64_t pack(const Shape& shape) {
  std::uint64_t packed = 0;
  std::memcpy(&packed, &shape, sizeof shape);
  return packed;
}
Shape shape_of(const Op* op) {
  Shape shape;
  std::memcpy(&shape, &op->immediate, sizeof shape);
  return shape;
}

bool is_set(const Cpu& cpu, const Shape& shape, unsigned i) {
  const std::size_t top = (i + 1) * shape.element_bytes - 1;
  return (static_cast<unsigned>(cpu.native.vector[shape.mask][top]) & 0x80) != 0;
}

std::uint64_t element_address(Cpu& cpu, const Op* op, std::uint64_t offset, unsigned bytes, bool write) {
  if (op->address_bytes == 4) offset &= 0xffffffff;
  if (op->address_bytes == 2) offset &= 0xffff;
  return segment_address(cpu, op->segment, offset, bytes, write);
}

void clear_upper(Cpu& cpu, unsigned reg, unsigned bytes) {
  std::fill(cpu.native.vector[reg].begin() + bytes, cpu.native.vector[reg].end(), std::byte{});
}

const Op* masked_load(Cpu& cpu, const Op* op) {
  const Shape shape = shape_of(op);
  std::array<std::byte, 32> result{};
  const std::uint64_t base = operand_offset(cpu, op);
  for (unsigned i = 0; i < shape.count; ++i) {
    if (!is_set(cpu, shape, i)) continue;
    const unsigned at = i * shape.element_bytes;
    const std::uint64_t value =
        load_bytes(cpu, element_address(cpu, op, base + at, shape.element_bytes, false), shape.element_bytes);
    std::memcpy(result.data() + at, &value, shape.element_bytes);
  }
  cpu.native.vector[op->dst] = result;
  return op + 1;
}

const Op* masked_store(Cpu& cpu, const Op* op) {
  const Shape shape = shape_of(op);
  const std::uint64_t base = operand_offset(cpu, op);
  for (unsigned pass = 0; pass < 2; ++pass) {  // first whether it may, then for good
    for (unsigned i = 0; i < shape.count; ++i) {
      if (!is_set(cpu, shape, i)) continue;
      const unsigned at = i * shape.element_bytes;
      const std::uint64_t linear = element_address(cpu, op, base + at, shape.element_bytes, true);
      std::uint64_t value = 0;
      std::memcpy(&value, cpu.native.vector[op->src].data() + at, shape.element_bytes);
      if (pass == 0) {
        check_store(cpu, linear, shape.element_bytes);
      } else {
        store_bytes(cpu, linear, shape.element_bytes, value);
      }
    }
  }
  return op + 1;
}

// Elements done before a fault stay done, and their mask is cleared (SDM vol. 2, VGATHERDPD).
const Op* gather(Cpu& cpu, const Op* op) {
  const Shape shape = shape_of(op);
  const std::uint64_t base =
      get<std::uint64_t>(cpu, op->base) + static_cast<std::uint64_t>(std::int64_t{op->displacement});
  for (unsigned i = 0; i < shape.count; ++i) {
    std::byte* const mask = cpu.native.vector[shape.mask].data() + i * shape.element_bytes;
    if (is_set(cpu, shape, i)) {
      std::int64_t index = 0;
      std::memcpy(&index, cpu.native.vector[shape.index].data() + i * shape.index_bytes, shape.index_bytes);
      if (shape.index_bytes == 4) index = static_cast<std::int32_t>(index);
      const std::uint64_t offset = base + (static_cast<std::uint64_t>(index) << op->scale);
      const std::uint64_t value =
          load_bytes(cpu, element_address(cpu, op, offset, shape.element_bytes, false), shape.element_bytes);
      std::memcpy(cpu.native.vector[op->dst].data() + i * shape.element_bytes, &value, shape.element_bytes);
    }
    std::fill_n(mask, shape.element_bytes, std::byte{});
  }
  clear_upper(cpu, op->dst,
              shape.count * shape.element_bytes < 16 ? shape.count * shape.element_bytes : shape.total_bytes);
  std::fill(cpu.native.vector[shape.mask].begin(), cpu.native.vector[shape.mask].end(), std::byte{});
  return op + 1;
}

// As FXSAVE stores it: the registers from the top of the stack on.
std::byte* x87_register(Cpu& cpu, unsigned number) { return cpu.native.fx.data() + 32 + number * 16; }

// What every MMX instruction does: the top is register 0, and none is empty (SDM vol. 1, 9.5.1).
void take_x87_for_mmx(Cpu& cpu, unsigned top) {
  std::rotate(x87_register(cpu, 0), x87_register(cpu, (8 - top) & 7), x87_register(cpu, 8));
  cpu.native.fx[3] &= std::byte{0xc7};
  cpu.native.fx[4] = std::byte{0xff};
}

// MASKMOVDQU and MASKMOVQ: to DS:RDI. `src` the data, `operand_bytes` 8 for MMX.
const Op* masked_bytes(Cpu& cpu, const Op* op) {
  const Shape shape = shape_of(op);
  const std::uint64_t base = cpu.reg(x86::Gpr::Rdi);
  const bool mmx = op->operand_bytes == 8;
  const unsigned top = static_cast<unsigned>(cpu.native.fx[3]) >> 3 & 7;
  const auto bytes_of = [&](unsigned reg) {
    return mmx ? x87_register(cpu, (reg - top) & 7) : cpu.native.vector[reg].data();
  };
  for (unsigned pass = 0; pass < 2; ++pass) {
    for (unsigned i = 0; i < op->operand_bytes; ++i) {
      if ((static_cast<unsigned>(bytes_of(shape.mask)[i]) & 0x80) == 0) continue;
      const std::uint64_t linear = element_address(cpu, op, base + i, 1, true);
      if (pass == 0) {
        check_store(cpu, linear, 1);
      } else {
        store(cpu, linear, static_cast<std::uint8_t>(bytes_of(op->src)[i]));
      }
    }
  }
  if (mmx) take_x87_for_mmx(cpu, top);
  return op + 1;
}

Handler select_gather(const Decoded& decoded, Op& op, std::uint8_t element, std::uint8_t index) {
  const auto& memory = decoded.operands[1].mem;
  const auto wide = static_cast<std::uint8_t>(decoded.register_class(0) == ZYDIS_REGCLASS_YMM ? 32 : 16);
  const bool wide_index = ZydisRegisterGetClass(memory.index) == ZYDIS_REGCLASS_YMM;
  const auto count =
      static_cast<std::uint8_t>(std::min<unsigned>(wide / element, (wide_index ? 32u : 16u) / index));
  op.dst = static_cast<std::uint8_t>(decoded.register_id(0));
  op.immediate = pack({element, wide, static_cast<std::uint8_t>(decoded.register_id(2)),
                       static_cast<std::uint8_t>(ZydisRegisterGetId(memory.index)), index, count});
  return gather;
}

Handler select_mask_move(const Decoded& decoded, Op& op, std::uint8_t element) {
  const unsigned data = decoded.is_memory(0) ? 2 : 0;
  const auto wide = static_cast<std::uint8_t>(decoded.register_class(data) == ZYDIS_REGCLASS_YMM ? 32 : 16);
  const auto count = static_cast<std::uint8_t>(wide / element);
  op.immediate = pack({element, wide, static_cast<std::uint8_t>(decoded.register_id(1)), 0, 0, count});
  (data == 0 ? op.dst : op.src) = static_cast<std::uint8_t>(decoded.register_id(data));
  return data == 0 ? masked_load : masked_store;
}

Handler select_masked_bytes(const Decoded& decoded, Op& op) {
  op.operand_bytes = decoded.mnemonic() == ZYDIS_MNEMONIC_MASKMOVQ ? 8 : 16;
  op.src = static_cast<std::uint8_t>(decoded.register_id(0));
  op.immediate =
      pack({1, op.operand_bytes, static_cast<std::uint8_t>(decoded.register_id(1)), 0, 0, op.operand_bytes});
  if (decoded.is_64bit && op.segment < 4) op.segment = kFlatSegment;
  return masked_bytes;
}

}  // namespace

Handler select_masked(const Decoded& decoded, Op& op) {
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_VGATHERDPD:
      return select_gather(decoded, op, 8, 4);
    case ZYDIS_MNEMONIC_VGATHERQPD:
      return select_gather(decoded, op, 8, 8);
    case ZYDIS_MNEMONIC_VGATHERDPS:
      return select_gather(decoded, op, 4, 4);
    case ZYDIS_MNEMONIC_VGATHERQPS:
      return select_gather(decoded, op, 4, 8);
    case ZYDIS_MNEMONIC_VPGATHERDD:
      return select_gather(decoded, op, 4, 4);
    case ZYDIS_MNEMONIC_VPGATHERDQ:
      return select_gather(decoded, op, 8, 4);
    case ZYDIS_MNEMONIC_VPGATHERQD:
      return select_gather(decoded, op, 4, 8);
    case ZYDIS_MNEMONIC_VPGATHERQQ:
      return select_gather(decoded, op, 8, 8);
    case ZYDIS_MNEMONIC_VMASKMOVPS:
    case ZYDIS_MNEMONIC_VPMASKMOVD:
      return select_mask_move(decoded, op, 4);
    case ZYDIS_MNEMONIC_VMASKMOVPD:
    case ZYDIS_MNEMONIC_VPMASKMOVQ:
      return select_mask_move(decoded, op, 8);
    case ZYDIS_MNEMONIC_MASKMOVQ:
    case ZYDIS_MNEMONIC_MASKMOVDQU:
    case ZYDIS_MNEMONIC_VMASKMOVDQU:
      return select_masked_bytes(decoded, op);
    default:
      return nullptr;
  }
}

}  // namespace berth::engine::soft

#include "generator.hpp"

#include <fmt/core.h>

#include <cstring>

#include "x86/bits.hpp"

namespace berth::judge {
namespace {

using x86::rflags::kArithmetic;
using Bytes = std::vector<std::uint8_t>;

constexpr unsigned kMostInstructions = 6;

void add_displacement(Randomness& random, Bytes& bytes, unsigned count) {
  const auto value = static_cast<std::uint32_t>(random.one_in(8) ? random.bits() : random.below(256) - 128);
  for (unsigned i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> 8 * i));
}

void add_prefixes(Randomness& random, Bytes& bytes) {
  constexpr auto kPrefixes = std::to_array<std::uint8_t>({0x66, 0x66, 0xf2, 0xf3, 0xf3, 0xf0, 0x67, 0x2e});
  while (random.one_in(3)) bytes.push_back(kPrefixes[random.below(kPrefixes.size())]);
}

// The maps of one, two and three bytes, and VEX's; half of the draws name no instruction and are drawn again.
void add_opcode(Randomness& random, Bytes& bytes) {
  const auto any = [&random] { return static_cast<std::uint8_t>(random.below(256)); };
  const std::uint64_t kind = random.below(10);
  if (kind < 7) {
    add_prefixes(random, bytes);
    if (!random.one_in(3)) bytes.push_back(static_cast<std::uint8_t>(0x40 | random.below(16)));
  }
  switch (kind) {
    case 0:
    case 1:
    case 2:
      break;
    case 3:
    case 4:
      bytes.push_back(0x0f);
      break;
    case 5:
      bytes.insert(bytes.end(), {0x0f, 0x38});
      break;
    case 6:
      bytes.insert(bytes.end(), {0x0f, 0x3a});
      break;
    case 7:
      bytes.insert(bytes.end(), {0xc5, any()});
      break;
    default:
      bytes.insert(bytes.end(),
                   {0xc4, static_cast<std::uint8_t>((any() & 0xe0u) | (1 + random.below(3))), any()});
  }
  bytes.push_back(any());
}

Bytes random_bytes(Randomness& random) {
  Bytes bytes;
  add_opcode(random, bytes);
  const auto modrm = static_cast<std::uint8_t>(random.below(256));
  bytes.push_back(modrm);
  const unsigned mod = modrm >> 6;
  if (mod != 3 && (modrm & 7) == 4) bytes.push_back(static_cast<std::uint8_t>(random.below(256)));
  if (mod == 2 || (mod == 0 && (modrm & 7) == 5)) add_displacement(random, bytes, 4);
  if (mod == 1) add_displacement(random, bytes, 1);
  while (bytes.size() < 20)
    bytes.push_back(static_cast<std::uint8_t>(random.one_in(2) ? random.below(256) : random.below(2) - 1));
  return bytes;
}

std::uint64_t random_number(Randomness& random) {
  switch (random.below(4)) {
    case 0:
      return random.bits();
    case 1:
      return random.below(256);
    case 2:
      return std::uint64_t{1} << random.below(64);
    default:
      return ~(random.bits() >> random.below(64));
  }
}

std::uint64_t random_address(Randomness& random) {
  switch (random.below(8)) {
    case 0:
      return kData + random.below(4) * kPage + random.below(96) - 64;  // at an edge
    case 1:
      return kData + random.below(kDataBytes);
    case 2:
      return random.one_in(4) ? kCode + random.below(kPage) : kData + random.below(kWritableBytes);
    case 3:
      return random.one_in(4) ? random.below(2) << 47 | random.below(32) << 60 : kData + 0x1000;
    default:
      return kData + 0x200 + random.below(kWritableBytes - 0x400) / 16 * 16;
  }
}

void put16(std::byte* at, std::uint64_t value) { std::memcpy(at, &value, 2); }

// Values of every class that floating point has, in a random mixture.
void fill_vectors(Randomness& random, std::byte* to, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += 8) {
    std::uint64_t value = random.one_in(3) ? random_number(random) : random.bits();
    const double number =
        static_cast<double>(static_cast<std::int64_t>(random.bits()) >> random.below(60)) / 16;
    if (random.one_in(3)) std::memcpy(&value, &number, sizeof value);
    std::memcpy(to + i, &value, sizeof value);
  }
}

void make_xsave(Randomness& random, std::byte* xsave) {
  // What overflow, underflow and loss of precision leave where they are not masked is a known gap of the
  // engine.
  constexpr std::uint64_t kControl = 0x37f, kMasked = 0x1f80, kRounding = 0x1c00, kAll = 7;
  put16(xsave, random.one_in(16)  ? (random.bits() & 0xf3f) | 0x40
               : random.one_in(2) ? kControl
                                  : kControl & ~(random.bits() & 0xf00));
  put16(xsave + 2, random.below(8) << 11 | (random.bits() & 0x4700));
  xsave[4] = static_cast<std::byte>(random.bits());
  put16(xsave + 24, random.one_in(8)   ? random.bits() | kRounding
                    : random.one_in(2) ? kMasked
                                       : kMasked | (random.bits() & 0xe07f));
  for (std::size_t i = 0; i < 8; ++i) {
    fill_vectors(random, xsave + 32 + i * 16, 8);
    put16(xsave + 32 + i * 16 + 8, random.one_in(4) ? random.bits() : 0x3ff0 + random.below(32));
  }
  fill_vectors(random, xsave + 160, 256);
  fill_vectors(random, xsave + 576, 256);
  std::memcpy(xsave + 512, &kAll, sizeof kAll);
}

void make_start(Randomness& random, Registers& start) {
  for (std::uint64_t& reg : start.gpr)
    reg = random.one_in(2) ? random_address(random) : random_number(random);
  // Linux gives no stack back that is no address at all.
  std::uint64_t& stack = start.gpr[static_cast<std::size_t>(x86::Gpr::Rsp)];
  stack = random.one_in(8) ? random_address(random) : kData + 0x800 + random.below(0x1000) / 8 * 8;
  if (!x86::is_canonical(stack)) stack = kData;
  if (random.one_in(2)) start.gpr[static_cast<std::size_t>(x86::Gpr::Rcx)] = random.below(64);
  start.rip = kEntry;
  start.rflags = (random.bits() & kArithmetic) | x86::rflags::kOne | x86::rflags::kIf;
  if (random.one_in(4)) start.rflags |= x86::rflags::kDf;
  if (random.one_in(32)) start.rflags |= x86::rflags::kTf;
  if (random.one_in(16)) start.rflags |= x86::rflags::kAc;
  make_xsave(random, start.xsave.data());
}

// A branch of the case, whose target is the end: its place is known when all instructions are.
struct Branch {
  std::size_t field = 0, bytes = 0, behind = 0;
};

void aim(Case& made, const Branch& branch) {
  const auto distance = static_cast<std::uint32_t>(made.code.size() - branch.behind);
  for (std::size_t i = 0; i < branch.bytes; ++i)
    made.code[branch.field + i] = static_cast<std::byte>(distance >> 8 * i);
}

// A shift may be one by nothing, which writes no flags.
bool writes_for_certain(const ZydisDecodedInstruction& decoded) {
  return decoded.meta.category != ZYDIS_CATEGORY_SHIFT && decoded.meta.category != ZYDIS_CATEGORY_ROTATE &&
         (decoded.attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) == 0;
}

// Those of `defined` that are behind the instruction, by the manuals' tables as Zydis has them.
std::uint64_t flags_behind(const ZydisDecodedInstruction& decoded, std::uint64_t defined) {
  if (decoded.cpu_flags == nullptr) return defined;
  const ZydisAccessedFlags& flags = *decoded.cpu_flags;
  if (writes_for_certain(decoded)) defined |= flags.modified | flags.set_0 | flags.set_1;
  return defined & kArithmetic & ~std::uint64_t{flags.undefined};
}

}  // namespace

Generator::Generator() { ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64); }

Instruction Generator::draw(Randomness& random, std::uint64_t defined, Bytes& bytes) const {
  for (Instruction drawn;;) {
    bytes = random_bytes(random);
    if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder_, bytes.data(), bytes.size(), &drawn.decoded,
                                           drawn.operands.data())))
      continue;
    // What is undefined may only be looked at once it has been written again.
    const std::uint64_t tested = drawn.decoded.cpu_flags != nullptr ? drawn.decoded.cpu_flags->tested : 0;
    if ((tested & kArithmetic & ~defined) != 0 || !is_allowed(drawn)) continue;
    bytes.resize(drawn.decoded.length);
    return drawn;
  }
}

void Generator::make(Randomness& random, Case& made) const {
  make_start(random, made.start);
  for (std::size_t i = 0; i < kDataBytes; i += 16) fill_vectors(random, made.data.data() + i, 16);
  made.code.clear();
  made.steps.clear();
  std::vector<Branch> branches;
  std::uint64_t defined = kArithmetic, at_end = kArithmetic;
  Bytes bytes;
  for (std::uint64_t left = 1 + random.below(kMostInstructions); left > 0; --left) {
    const Instruction drawn = draw(random, defined, bytes);
    made.steps.push_back({kEntry + made.code.size(), defined, faults_alike(drawn)});
    const auto& field = drawn.decoded.raw.imm[0];
    if (is_direct_branch(drawn)) {
      branches.push_back({made.code.size() + field.offset, field.size / 8u, made.code.size() + bytes.size()});
      at_end &= defined;
    }
    for (const std::uint8_t byte : bytes) made.code.push_back(static_cast<std::byte>(byte));
    defined = flags_behind(drawn.decoded, defined);
  }
  made.steps.push_back({kEntry + made.code.size(), defined & at_end, true});
  for (const Branch& branch : branches) aim(made, branch);
}

std::string describe(const Case& what) {
  std::string text;
  for (std::size_t i = 0; i + 1 < what.steps.size(); ++i) {
    const std::size_t from = what.steps[i].rip - kEntry, to = what.steps[i + 1].rip - kEntry;
    for (std::size_t at = from; at < to; ++at)
      text += fmt::format("{:02x}", static_cast<unsigned>(what.code[at]));
    ZydisDisassembledInstruction shown;
    const bool known = ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, what.steps[i].rip,
                                                          what.code.data() + from, to - from, &shown));
    text += fmt::format("  {}\n", known ? shown.text : "?");
  }
  for (std::size_t i = 0; i < what.start.gpr.size(); ++i)
    text += fmt::format("r{}={:x} ", i, what.start.gpr[i]);
  std::uint32_t mxcsr = 0;
  std::uint16_t control = 0;
  std::memcpy(&mxcsr, what.start.xsave.data() + 24, sizeof mxcsr);
  std::memcpy(&control, what.start.xsave.data(), sizeof control);
  return text + fmt::format("rflags={:x} mxcsr={:x} fcw={:x}\n", what.start.rflags, mxcsr, control);
}

}  // namespace berth::judge

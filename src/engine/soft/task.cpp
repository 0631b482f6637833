#include "engine/soft/task.hpp"

#include <array>

#include "engine/soft/deliver.hpp"
#include "engine/soft/segment.hpp"
#include "engine/soft/stack.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

constexpr std::array<SegmentName, 6> kSegments{SegmentName::Es, SegmentName::Cs, SegmentName::Ss,
                                               SegmentName::Ds, SegmentName::Fs, SegmentName::Gs};

// Where things lie in a TSS of 16 and of 32 bits (SDM vol. 3, figures 7-2 and 7-10).
struct Layout {
  unsigned bytes, rip, flags, gpr, segments, segment_step, segment_count, ldt, minimum;
};
constexpr Layout kLayout16{2, 14, 16, 18, 34, 2, 4, 42, 43};
constexpr Layout kLayout32{4, 32, 36, 40, 72, 4, 6, 96, 103};

const Layout& layout_of(unsigned type) { return (type & 8) != 0 ? kLayout32 : kLayout16; }

std::uint64_t read_field(Cpu& cpu, std::uint64_t linear, unsigned bytes) {
  std::uint64_t value = 0;
  load_slow(cpu, linear, &value, bytes, Intent::System);
  return value;
}
void write_field(Cpu& cpu, std::uint64_t linear, unsigned bytes, std::uint64_t value) {
  store_slow(cpu, linear, &value, bytes, Intent::System);
}

void set_busy(Cpu& cpu, std::uint16_t selector, bool busy) {
  const std::uint64_t linear = descriptor_address(cpu, selector, Vector::Ts) + 5;
  const auto type = load_system<std::uint8_t>(cpu, linear);
  store_system(cpu, linear, static_cast<std::uint8_t>(busy ? type | 2 : type & ~2));
}

void save_task(Cpu& cpu, std::uint64_t rip, std::uint64_t flags) {
  const Layout& layout = layout_of(cpu.arch.tr.attributes & 0xf);
  const std::uint64_t base = cpu.arch.tr.base;
  write_field(cpu, base + layout.rip, layout.bytes, rip);
  write_field(cpu, base + layout.flags, layout.bytes, flags);
  for (unsigned i = 0; i < 8; ++i)
    write_field(cpu, base + layout.gpr + i * layout.bytes, layout.bytes, cpu.native.gpr[i]);
  for (unsigned i = 0; i < layout.segment_count; ++i) {
    write_field(cpu, base + layout.segments + i * layout.segment_step, 2, cpu.segment(kSegments[i]).selector);
  }
}

struct Image {
  std::uint64_t cr3 = 0, rip = 0, flags = 0;
  std::array<std::uint64_t, 8> gpr{};
  std::array<std::uint16_t, 6> segments{};
  std::uint16_t ldt = 0;
  bool trap = false;
};

Image read_image(Cpu& cpu, std::uint64_t base, const Layout& layout) {
  Image image;
  const bool is_32 = layout.bytes == 4;
  if (is_32) image.cr3 = read_field(cpu, base + 28, 4);
  image.rip = read_field(cpu, base + layout.rip, layout.bytes);
  image.flags = read_field(cpu, base + layout.flags, layout.bytes);
  for (unsigned i = 0; i < 8; ++i)
    image.gpr[i] = read_field(cpu, base + layout.gpr + i * layout.bytes, layout.bytes);
  for (unsigned i = 0; i < layout.segment_count; ++i) {
    image.segments[i] =
        static_cast<std::uint16_t>(read_field(cpu, base + layout.segments + i * layout.segment_step, 2));
  }
  image.ldt = static_cast<std::uint16_t>(read_field(cpu, base + layout.ldt, 2));
  image.trap = is_32 && (read_field(cpu, base + 100, 2) & 1) != 0;
  return image;
}

void load_ldt(Cpu& cpu, std::uint16_t selector) {
  cpu.arch.ldtr = Segment{.base = 0, .limit = 0, .selector = selector, .attributes = 0};
  if (is_null(selector)) return;
  if ((selector & 4) != 0) raise(cpu, Vector::Ts, selector & 0xfffcu);
  const Descriptor descriptor = read_descriptor(cpu, selector, Vector::Ts);
  if (descriptor.is_code_or_data() || descriptor.type() != system_type::kLdt || !descriptor.is_present()) {
    raise(cpu, Vector::Ts, selector & 0xfffcu);
  }
  cpu.arch.ldtr = descriptor.segment(selector);
}

void load_task_code(Cpu& cpu, std::uint16_t selector) {
  if (is_null(selector)) raise(cpu, Vector::Ts);
  const Descriptor code = read_descriptor(cpu, selector, Vector::Ts);
  const unsigned rpl = selector & 3u;
  const bool fits = code.is_code() && (code.is_conforming() ? code.dpl() <= rpl : code.dpl() == rpl);
  if (!fits) raise(cpu, Vector::Ts, selector & 0xfffcu);
  if (!code.is_present()) raise(cpu, Vector::Np, selector & 0xfffcu);
  set_code_segment(cpu, selector, code, rpl);
}

void load_task_data(Cpu& cpu, SegmentName name, std::uint16_t selector) {
  cpu.segment(name) = Segment{.base = 0, .limit = 0, .selector = selector, .attributes = 0};
  if (is_null(selector)) return;
  Descriptor data = read_descriptor(cpu, selector, Vector::Ts);
  const bool conforming = data.is_code() && data.is_conforming();
  const bool allowed = conforming || (data.dpl() >= cpu.cpl && data.dpl() >= (selector & 3u));
  if (!data.is_code_or_data() || !data.is_readable() || !allowed) raise(cpu, Vector::Ts, selector & 0xfffcu);
  if (!data.is_present()) raise(cpu, Vector::Np, selector & 0xfffcu);
  mark_accessed(cpu, selector, data);
  cpu.segment(name) = data.segment(selector);
}

void load_task_segments(Cpu& cpu, const Image& image) {
  if (cpu.is_v86()) {
    for (unsigned i = 0; i < 6; ++i) load_real_segment(cpu, kSegments[i], image.segments[i]);
    cpu.cpl = 3;
    return update_mode(cpu);
  }
  load_ldt(cpu, image.ldt);
  load_task_code(cpu, image.segments[1]);
  const std::uint16_t ss = image.segments[2];
  const Descriptor stack = check_inner_stack(cpu, ss, cpu.cpl, 0);
  set_stack_segment(cpu, ss, stack, cpu.cpl);
  for (const unsigned i : {0u, 3u, 4u, 5u}) load_task_data(cpu, kSegments[i], image.segments[i]);
  update_mode(cpu);
}

}  // namespace

void switch_task(Cpu& cpu, std::uint16_t selector, const Descriptor& descriptor, TaskSwitch kind,
                 std::uint64_t next_rip) {
  const Layout& layout = layout_of(descriptor.type());
  if (descriptor.limit() < layout.minimum) raise(cpu, Vector::Ts, selector & 0xfffcu);
  const std::uint16_t old_selector = cpu.arch.tr.selector;
  const bool nests = kind == TaskSwitch::Call || kind == TaskSwitch::Event;
  std::uint64_t flags = get_rflags(cpu);
  if (kind == TaskSwitch::Return) flags &= ~rflags::kNt;
  Image image = read_image(cpu, descriptor.base(), layout);
  save_task(cpu, next_rip, flags);
  if (!nests) set_busy(cpu, old_selector, false);
  if (nests) write_field(cpu, descriptor.base(), 2, old_selector);
  if (kind != TaskSwitch::Return) set_busy(cpu, selector, true);
  if (nests) image.flags |= rflags::kNt;

  // From here on everything happens in the new task, faults too.
  cpu.arch.tr = descriptor.segment(selector);
  cpu.arch.tr.attributes |= 2;
  cpu.arch.cr0 |= cr0::kTs;
  if (layout.bytes == 4 && (cpu.arch.cr0 & cr0::kPg) != 0) {
    cpu.arch.cr3 = image.cr3;
    flush_tlbs(cpu, false);
  }
  cpu.rip_base() = image.rip;
  cpu.current = &kIdleOp;
  for (unsigned i = 0; i < 8; ++i) cpu.native.gpr[i] = image.gpr[i];
  cpu.arch.dr7 &= ~std::uint64_t{0x155};
  set_rflags(cpu, image.flags & 0x3f7fd5);
  load_task_segments(cpu, image);
  if (image.trap) cpu.pending_debug |= dr6::kBt;
}

void deliver_through_task(Cpu& cpu, std::uint16_t selector, const Event& event) {
  const std::uint32_t external = event.source == Source::Software ? 0 : 1;
  const std::uint32_t error = (selector & 0xfffcu) | external;
  if ((selector & 4) != 0) raise(cpu, Vector::Gp, error);
  const Descriptor descriptor = read_descriptor(cpu, selector, Vector::Gp, external);
  const bool available = descriptor.type() == system_type::kTss16 || descriptor.type() == system_type::kTss32;
  if (descriptor.is_code_or_data() || !available) raise(cpu, Vector::Gp, error);
  if (!descriptor.is_present()) raise(cpu, Vector::Np, error);
  switch_task(cpu, selector, descriptor, TaskSwitch::Event, cpu.event_return_rip);
  if (event.has_error) {
    StackCursor stack(cpu);
    stack.push((descriptor.type() & 8) != 0 ? 4 : 2, event.error);
    stack.commit();
  }
}

}  // namespace berth::engine::soft

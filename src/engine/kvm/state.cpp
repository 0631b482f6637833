#include "engine/kvm/state.hpp"

#include <array>
#include <cstring>

#include "engine/kvm/requests.hpp"
#include "sys/kvm.hpp"

namespace berth::engine::kvm {
namespace {

using x86::CpuState;
using x86::Gpr;
using x86::SegmentName;

constexpr std::array kGprFields{&kvm_regs::rax, &kvm_regs::rcx, &kvm_regs::rdx, &kvm_regs::rbx,
                                &kvm_regs::rsp, &kvm_regs::rbp, &kvm_regs::rsi, &kvm_regs::rdi,
                                &kvm_regs::r8,  &kvm_regs::r9,  &kvm_regs::r10, &kvm_regs::r11,
                                &kvm_regs::r12, &kvm_regs::r13, &kvm_regs::r14, &kvm_regs::r15};
constexpr std::array kSegmentFields{&kvm_sregs::es, &kvm_sregs::cs, &kvm_sregs::ss,
                                    &kvm_sregs::ds, &kvm_sregs::fs, &kvm_sregs::gs};

struct MsrField {
  std::uint32_t index;
  std::uint64_t CpuState::*field;
};
constexpr std::array kMsrFields{
    MsrField{0xc0000081, &CpuState::star},
    MsrField{0xc0000082, &CpuState::lstar},
    MsrField{0xc0000083, &CpuState::cstar},
    MsrField{0xc0000084, &CpuState::sfmask},
    MsrField{0xc0000102, &CpuState::kernel_gs_base},
    MsrField{0x174, &CpuState::sysenter_cs},
    MsrField{0x175, &CpuState::sysenter_esp},
    MsrField{0x176, &CpuState::sysenter_eip},
    MsrField{0x277, &CpuState::pat},
};
struct MsrBuffer {  // kvm_msrs, whose array is of no length
  std::uint32_t nmsrs = 0, padding = 0;
  std::array<kvm_msr_entry, kMsrFields.size()> entries{};
};

using XsaveArea = std::array<std::byte, kXsaveAreaBytes>;

kvm_segment to_kvm(const x86::Segment& from) {
  kvm_segment to{};
  const unsigned bits = from.attributes;
  to.base = from.base;
  to.limit = from.limit;
  to.selector = from.selector;
  to.type = bits & 15;
  to.s = bits >> 4 & 1;
  to.dpl = bits >> 5 & 3;
  to.present = bits >> 7 & 1;
  to.avl = bits >> 8 & 1;
  to.l = bits >> 9 & 1;
  to.db = bits >> 10 & 1;
  to.g = bits >> 11 & 1;
  to.unusable = to.present == 0;
  return to;
}

x86::Segment from_kvm(const kvm_segment& from) {
  const unsigned bits = from.type | unsigned{from.s} << 4 | unsigned{from.dpl} << 5 |
                        (from.unusable != 0 ? 0U : unsigned{from.present}) << 7 | unsigned{from.avl} << 8 |
                        unsigned{from.l} << 9 | unsigned{from.db} << 10 | unsigned{from.g} << 11;
  return {from.base, from.limit, from.selector, static_cast<std::uint16_t>(bits)};
}

Result<void> load_special(int vcpu, const CpuState& state) {
  kvm_sregs special{};
  TRY(sys::kvm_call(vcpu, KVM_GET_SREGS, &special, "KVM_GET_SREGS"));
  for (std::size_t i = 0; i < kSegmentFields.size(); ++i)
    special.*kSegmentFields[i] = to_kvm(state.segments[i]);
  special.ldt = to_kvm(state.ldtr);
  special.tr = to_kvm(state.tr);
  special.gdt = {state.gdtr.base, state.gdtr.limit, {}};
  special.idt = {state.idtr.base, state.idtr.limit, {}};
  special.cr0 = state.cr0;
  special.cr2 = state.cr2;
  special.cr3 = state.cr3;
  special.cr4 = state.cr4;
  special.cr8 = state.cr8;
  special.efer = state.efer;
  std::memset(special.interrupt_bitmap, 0, sizeof special.interrupt_bitmap);
  TRY(sys::kvm_call(vcpu, KVM_SET_SREGS, &special, "KVM_SET_SREGS"));
  return {};
}

Result<void> store_special(int vcpu, CpuState& state) {
  kvm_sregs special{};
  TRY(sys::kvm_call(vcpu, KVM_GET_SREGS, &special, "KVM_GET_SREGS"));
  for (std::size_t i = 0; i < kSegmentFields.size(); ++i)
    state.segments[i] = from_kvm(special.*kSegmentFields[i]);
  state.ldtr = from_kvm(special.ldt);
  state.tr = from_kvm(special.tr);
  state.gdtr = {special.gdt.base, special.gdt.limit};
  state.idtr = {special.idt.base, special.idt.limit};
  state.cr0 = special.cr0;
  state.cr2 = special.cr2;
  state.cr3 = special.cr3;
  state.cr4 = special.cr4;
  state.cr8 = special.cr8;
  state.efer = special.efer;
  return {};
}

Result<void> load_general(int vcpu, const CpuState& state) {
  kvm_regs general{};
  for (std::size_t i = 0; i < kGprFields.size(); ++i) general.*kGprFields[i] = state.gpr[i];
  general.rip = state.rip;
  general.rflags = state.rflags;
  TRY(sys::kvm_call(vcpu, KVM_SET_REGS, &general, "KVM_SET_REGS"));
  return {};
}

Result<void> store_general(int vcpu, CpuState& state) {
  kvm_regs general{};
  TRY(sys::kvm_call(vcpu, KVM_GET_REGS, &general, "KVM_GET_REGS"));
  for (std::size_t i = 0; i < kGprFields.size(); ++i) state.gpr[i] = general.*kGprFields[i];
  state.rip = general.rip;
  state.rflags = general.rflags;
  return {};
}

Result<void> load_msrs(int vcpu, const CpuState& state) {
  MsrBuffer buffer;
  buffer.nmsrs = kMsrFields.size();
  for (std::size_t i = 0; i < kMsrFields.size(); ++i)
    buffer.entries[i] = {kMsrFields[i].index, 0, state.*kMsrFields[i].field};
  const int done = TRY(sys::kvm_call(vcpu, kSetMsrs, &buffer, "KVM_SET_MSRS"));
  if (done != static_cast<int>(kMsrFields.size())) return fail(Code::Internal, "KVM_SET_MSRS: refused one");
  return {};
}

Result<void> store_msrs(int vcpu, CpuState& state) {
  MsrBuffer buffer;
  buffer.nmsrs = kMsrFields.size();
  for (std::size_t i = 0; i < kMsrFields.size(); ++i) buffer.entries[i].index = kMsrFields[i].index;
  const int done = TRY(sys::kvm_call(vcpu, kGetMsrs, &buffer, "KVM_GET_MSRS"));
  if (done != static_cast<int>(kMsrFields.size())) return fail(Code::Internal, "KVM_GET_MSRS: refused one");
  for (std::size_t i = 0; i < kMsrFields.size(); ++i) state.*kMsrFields[i].field = buffer.entries[i].data;
  return {};
}

Result<void> load_vectors(int vcpu, const CpuState& state) {
  kvm_xcrs control{};
  control.nr_xcrs = 1;
  control.xcrs[0] = {0, 0, state.xcr0};
  // A processor without XSAVE has neither.
  if (!sys::kvm_call(vcpu, KVM_SET_XCRS, &control, "KVM_SET_XCRS") && state.xcr0 != 1)
    return fail(Code::Internal, "KVM_SET_XCRS: refused");
  XsaveArea area{};
  std::memcpy(area.data(), state.xsave.data(), state.xsave.size());
  TRY(sys::kvm_call(vcpu, kSetXsave, &area, "KVM_SET_XSAVE"));
  return {};
}

Result<void> store_vectors(int vcpu, CpuState& state) {
  kvm_xcrs control{};
  if (sys::kvm_call(vcpu, KVM_GET_XCRS, &control, "KVM_GET_XCRS") && control.nr_xcrs > 0)
    state.xcr0 = control.xcrs[0].value;
  XsaveArea area{};
  TRY(sys::kvm_call(vcpu, kGetXsave, &area, "KVM_GET_XSAVE"));
  std::memcpy(state.xsave.data(), area.data(), state.xsave.size());
  return {};
}

Result<void> load_debug_and_events(int vcpu, const CpuState& state) {
  kvm_debugregs debug{};
  std::copy(state.dr.begin(), state.dr.end(), debug.db);
  debug.dr6 = state.dr6;
  debug.dr7 = state.dr7;
  TRY(sys::kvm_call(vcpu, KVM_SET_DEBUGREGS, &debug, "KVM_SET_DEBUGREGS"));
  kvm_vcpu_events events{};
  events.interrupt.shadow = state.interrupt_shadow ? KVM_X86_SHADOW_INT_STI : 0;
  events.nmi.masked = state.nmi_blocked ? 1 : 0;
  events.flags = KVM_VCPUEVENT_VALID_SHADOW;
  TRY(sys::kvm_call(vcpu, KVM_SET_VCPU_EVENTS, &events, "KVM_SET_VCPU_EVENTS"));
  return {};
}

Result<void> store_debug_and_events(int vcpu, CpuState& state) {
  kvm_debugregs debug{};
  TRY(sys::kvm_call(vcpu, KVM_GET_DEBUGREGS, &debug, "KVM_GET_DEBUGREGS"));
  std::copy(std::begin(debug.db), std::end(debug.db), state.dr.begin());
  state.dr6 = debug.dr6;
  state.dr7 = debug.dr7;
  kvm_vcpu_events events{};
  TRY(sys::kvm_call(vcpu, KVM_GET_VCPU_EVENTS, &events, "KVM_GET_VCPU_EVENTS"));
  state.interrupt_shadow = events.interrupt.shadow != 0;
  state.nmi_blocked = events.nmi.masked != 0;
  return {};
}

}  // namespace

Result<void> load_state(int vcpu, const CpuState& state) {
  TRY(load_special(vcpu, state));
  TRY(load_general(vcpu, state));
  TRY(load_vectors(vcpu, state));
  TRY(load_msrs(vcpu, state));
  return load_debug_and_events(vcpu, state);
}

Result<void> store_state(int vcpu, CpuState& state) {
  TRY(store_special(vcpu, state));
  TRY(store_general(vcpu, state));
  TRY(store_vectors(vcpu, state));
  TRY(store_msrs(vcpu, state));
  return store_debug_and_events(vcpu, state);
}

}  // namespace berth::engine::kvm

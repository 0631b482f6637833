#include "sys/device_program.hpp"

#include <fmt/core.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "sys/fd.hpp"

namespace berth::sys {
namespace {

static_assert(sizeof(BpfInstruction) == sizeof(bpf_insn));

// Registers: r0 the answer, r1 the context at entry; ours are the others.
enum Register : std::uint8_t {
  kAnswer = 0,
  kContext = 1,
  kAccess = 2,
  kType = 3,
  kMajor = 4,
  kMinor = 5,
  kScratch = 6
};

constexpr int kAllAccess = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;
constexpr std::size_t kLogBytes = 4096;

constexpr BpfInstruction instruction(int code, Register destination, Register source, int offset,
                                     std::int32_t immediate) {
  return {static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(destination | source << 4),
          static_cast<std::int16_t>(offset), immediate};
}
constexpr BpfInstruction load_word(Register destination, int offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, destination, kContext, offset, 0);
}
constexpr BpfInstruction set(Register destination, std::int32_t value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, destination, kAnswer, 0, value);
}
constexpr BpfInstruction copy(Register destination, Register source) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_X, destination, source, 0, 0);
}
constexpr BpfInstruction keep_bits(Register destination, std::int32_t mask) {
  return instruction(BPF_ALU | BPF_AND | BPF_K, destination, kAnswer, 0, mask);
}
constexpr BpfInstruction shift_right(Register destination, std::int32_t bits) {
  return instruction(BPF_ALU | BPF_RSH | BPF_K, destination, kAnswer, 0, bits);
}
// `offset` instructions are jumped over; filled in once the length of the rule is known.
constexpr BpfInstruction skip_unless_equal(Register left, std::int32_t value) {
  return instruction(BPF_JMP | BPF_JNE | BPF_K, left, kAnswer, 0, value);
}
constexpr BpfInstruction skip_if_equal(Register left, std::int32_t value) {
  return instruction(BPF_JMP | BPF_JEQ | BPF_K, left, kAnswer, 0, value);
}
constexpr BpfInstruction finish() { return instruction(BPF_JMP | BPF_EXIT, kAnswer, kAnswer, 0, 0); }

int access_bits(const std::string& access) {
  if (access.empty()) return kAllAccess;
  int bits = 0;
  for (const char letter : access) {
    if (letter == 'm') bits |= BPF_DEVCG_ACC_MKNOD;
    if (letter == 'r') bits |= BPF_DEVCG_ACC_READ;
    if (letter == 'w') bits |= BPF_DEVCG_ACC_WRITE;
  }
  return bits;
}

// struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor.
void append_entry(std::vector<BpfInstruction>& program) {
  program.push_back(load_word(kAccess, 0));
  program.push_back(copy(kType, kAccess));
  program.push_back(keep_bits(kType, 0xffff));
  program.push_back(shift_right(kAccess, 16));
  program.push_back(load_word(kMajor, 4));
  program.push_back(load_word(kMinor, 8));
}

void append_access_test(const DeviceRule& rule, std::vector<BpfInstruction>& body) {
  const int named = access_bits(rule.access);
  if (named == kAllAccess) return;
  body.push_back(copy(kScratch, kAccess));
  body.push_back(keep_bits(kScratch, rule.allow ? kAllAccess & ~named : named));
  body.push_back(rule.allow ? skip_unless_equal(kScratch, 0) : skip_if_equal(kScratch, 0));
}

void append_rule(const DeviceRule& rule, std::vector<BpfInstruction>& program) {
  std::vector<BpfInstruction> body;
  if (rule.type != 'a') {
    body.push_back(skip_unless_equal(kType, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR));
    append_access_test(rule, body);
    if (rule.major) body.push_back(skip_unless_equal(kMajor, static_cast<std::int32_t>(*rule.major)));
    if (rule.minor) body.push_back(skip_unless_equal(kMinor, static_cast<std::int32_t>(*rule.minor)));
  }
  body.push_back(set(kAnswer, rule.allow ? 1 : 0));
  body.push_back(finish());
  for (std::size_t i = 0; i + 2 < body.size(); ++i) {
    const int operation = BPF_OP(body[i].code);
    const bool jump = BPF_CLASS(body[i].code) == BPF_JMP && (operation == BPF_JNE || operation == BPF_JEQ);
    if (jump) body[i].offset = static_cast<std::int16_t>(body.size() - i - 1);
  }
  program.insert(program.end(), body.begin(), body.end());
}

long bpf(bpf_cmd command, bpf_attr& attributes) {
  return ::syscall(SYS_bpf, command, &attributes, sizeof(attributes));
}

std::uint64_t address(const void* pointer) { return reinterpret_cast<std::uintptr_t>(pointer); }

Result<Fd> load_program(const std::vector<BpfInstruction>& program) {
  std::array<char, kLogBytes> log{};
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = address(program.data());
  attributes.insn_cnt = static_cast<__u32>(program.size());
  attributes.license = address("Apache-2.0");
  std::memcpy(attributes.prog_name, "berth_devices", sizeof("berth_devices"));
  long fd = bpf(BPF_PROG_LOAD, attributes);
  if (fd >= 0) return Fd(static_cast<int>(fd));
  const int reason = errno;
  // Once more with the verifier's words; they cost time, so not in the first place.
  attributes.log_level = 1;
  attributes.log_buf = address(log.data());
  attributes.log_size = log.size();
  fd = bpf(BPF_PROG_LOAD, attributes);
  if (fd >= 0) return Fd(static_cast<int>(fd));
  return fail_errno(
      fmt::format("cannot load the device program ({} instructions; {})", program.size(), log.data()),
      reason);
}

Result<std::vector<std::uint32_t>> attached_programs(int cgroup_fd) {
  std::vector<std::uint32_t> ids(64);  // the kernel's own bound for one group
  bpf_attr attributes{};
  attributes.query.target_fd = static_cast<__u32>(cgroup_fd);
  attributes.query.attach_type = BPF_CGROUP_DEVICE;
  attributes.query.prog_ids = address(ids.data());
  attributes.query.prog_cnt = static_cast<__u32>(ids.size());
  if (bpf(BPF_PROG_QUERY, attributes) != 0) return fail_errno("cannot list the group's device programs");
  ids.resize(attributes.query.prog_cnt);
  return ids;
}

Result<void> detach(int cgroup_fd, std::uint32_t id) {
  bpf_attr by_id{};
  by_id.prog_id = id;
  const Fd program(static_cast<int>(bpf(BPF_PROG_GET_FD_BY_ID, by_id)));
  if (!program && errno == ENOENT) return {};
  if (!program) return fail_errno(fmt::format("cannot open the device program {}", id));
  bpf_attr attributes{};
  attributes.target_fd = static_cast<__u32>(cgroup_fd);
  attributes.attach_bpf_fd = static_cast<__u32>(program.get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  if (bpf(BPF_PROG_DETACH, attributes) != 0)
    return fail_errno(fmt::format("cannot detach the device program {}", id));
  return {};
}

}  // namespace

std::vector<BpfInstruction> assemble_device_program(const std::vector<DeviceRule>& rules) {
  std::vector<BpfInstruction> program;
  append_entry(program);
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
    append_rule(*rule, program);
    if (rule->type == 'a') return program;  // it decides all that is left: what follows could not be reached
  }
  program.push_back(set(kAnswer, 1));
  program.push_back(finish());
  return program;
}

Result<void> attach_device_program(int cgroup_fd, const std::vector<DeviceRule>& rules) {
  const Fd program = TRY(load_program(assemble_device_program(rules)));
  const std::vector<std::uint32_t> earlier = TRY(attached_programs(cgroup_fd));
  bpf_attr attributes{};
  attributes.target_fd = static_cast<__u32>(cgroup_fd);
  attributes.attach_bpf_fd = static_cast<__u32>(program.get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(BPF_PROG_ATTACH, attributes) != 0)
    return fail_errno("cannot attach the device program to the group");
  for (const std::uint32_t id : earlier) TRY(detach(cgroup_fd, id));
  return {};
}

}  // namespace berth::sys

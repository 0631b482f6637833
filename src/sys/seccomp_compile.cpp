// SeccompProfile to classic BPF, by libseccomp. Declared in sys/seccomp.hpp.
#include <fmt/core.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <set>

#include "sys/fd.hpp"
#include "sys/seccomp.hpp"

namespace berth::sys {
namespace {

constexpr std::uint32_t kX32Bit = 0x40000000;
constexpr unsigned kHighestNumber = 1023;  // well above any that exists
constexpr std::size_t kMaxConditions =
    1536;  // libseccomp's time grows with their square; real profiles have a few dozen
constexpr std::size_t kMaxNames = 16384;  // over all rules; real profiles have some hundreds
constexpr int kBinaryTree = 2;            // SCMP_FLTATR_CTL_OPTIMIZE

struct ReleaseFilter {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};
using Filter = std::unique_ptr<void, ReleaseFilter>;

struct Architecture {
  std::string_view name;
  std::uint32_t token;
};
constexpr std::uint32_t kNoToken =
    0;  // libseccomp 2.5 has no tables for it, and neither is it this machine's
// The names of the OCI runtime specification 1.2.1, linux.seccomp.architectures.
constexpr std::array<Architecture, 23> kArchitectures = {{
    {"SCMP_ARCH_X86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_LOONGARCH64", kNoToken},
    {"SCMP_ARCH_M68K", kNoToken},
    {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
    {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
    {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
    {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
    {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
    {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
    {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
    {"SCMP_ARCH_S390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
    {"SCMP_ARCH_SH", kNoToken},
    {"SCMP_ARCH_SHEB", kNoToken},
}};

const Architecture* find_architecture(std::string_view name) {
  const auto* const found = std::find_if(kArchitectures.begin(), kArchitectures.end(),
                                         [&](const auto& row) { return row.name == name; });
  return found == kArchitectures.end() ? nullptr : found;
}

std::uint32_t action_of(const SeccompVerdict& verdict) {
  switch (verdict.action) {
    case SeccompAction::KillThread:
      return SCMP_ACT_KILL_THREAD;
    case SeccompAction::KillProcess:
      return SCMP_ACT_KILL_PROCESS;
    case SeccompAction::Trap:
      return SCMP_ACT_TRAP;
    case SeccompAction::Errno:
      return SCMP_ACT_ERRNO(std::uint32_t{verdict.data});
    case SeccompAction::Trace:
      return SCMP_ACT_TRACE(std::uint32_t{verdict.data});
    case SeccompAction::Log:
      return SCMP_ACT_LOG;
    case SeccompAction::Allow:
      return SCMP_ACT_ALLOW;
    case SeccompAction::Notify:
      return SCMP_ACT_NOTIFY;
  }
  return SCMP_ACT_KILL_PROCESS;
}

scmp_compare compare_of(SeccompCompare compare) {
  switch (compare) {
    case SeccompCompare::NotEqual:
      return SCMP_CMP_NE;
    case SeccompCompare::Less:
      return SCMP_CMP_LT;
    case SeccompCompare::LessOrEqual:
      return SCMP_CMP_LE;
    case SeccompCompare::Equal:
      return SCMP_CMP_EQ;
    case SeccompCompare::GreaterOrEqual:
      return SCMP_CMP_GE;
    case SeccompCompare::Greater:
      return SCMP_CMP_GT;
    case SeccompCompare::MaskedEqual:
      return SCMP_CMP_MASKED_EQ;
  }
  return SCMP_CMP_EQ;
}

using Conditions = std::vector<scmp_arg_cmp>;

// The condition sets that a rule stands for: one, or one for each argument where an index repeats.
std::vector<Conditions> condition_sets(const SeccompRule& rule) {
  Conditions all;
  std::set<unsigned> indexes;
  for (const SeccompArgument& argument : rule.arguments) {
    all.push_back({argument.index, compare_of(argument.compare), argument.value, argument.second});
    indexes.insert(argument.index);
  }
  if (indexes.size() == all.size()) return {all};
  std::vector<Conditions> alternatives;
  for (const scmp_arg_cmp& condition : all) alternatives.push_back({condition});
  return alternatives;
}

Result<void> add_rule(void* filter, const SeccompRule& rule, std::uint32_t fallback) {
  const std::uint32_t action = action_of(rule.verdict);
  if (action == fallback) return {};  // says nothing new, and libseccomp refuses it
  const std::vector<Conditions> sets = condition_sets(rule);
  for (const std::string& name : rule.names) {
    const int number = ::seccomp_syscall_resolve_name(name.c_str());
    if (number == __NR_SCMP_ERROR) continue;
    for (const Conditions& conditions : sets) {
      const int error = -::seccomp_rule_add_array(
          filter, action, number, static_cast<unsigned>(conditions.size()), conditions.data());
      if (error != 0) {
        return fail(Code::InvalidArgument,
                    fmt::format("cannot compile the seccomp rule for {}: libseccomp says {}", name,
                                std::strerror(error)));
      }
    }
  }
  return {};
}

Result<void> check_size(const std::vector<SeccompRule>& rules) {
  std::size_t conditions = 0;
  std::size_t names = 0;
  for (const SeccompRule& rule : rules) {
    conditions += rule.arguments.size() * rule.names.size();
    names += rule.names.size();
  }
  if (conditions <= kMaxConditions && names <= kMaxNames) return {};
  return fail(
      Code::InvalidArgument,
      fmt::format(
          "the seccomp profile is too large: {} names and {} conditions on arguments, of which {} and {} are "
          "allowed",
          names, conditions, kMaxNames, kMaxConditions));
}

// Gives the tokens that the filter now covers, this machine's own among them.
Result<std::set<std::uint32_t>> add_architectures(void* filter, const std::vector<std::string>& names) {
  std::set<std::uint32_t> covered{::seccomp_arch_native()};
  for (const std::string& name : names) {
    const Architecture* row = find_architecture(name);
    if (row == nullptr) {
      return fail(Code::InvalidArgument, fmt::format("seccomp: no architecture is called \"{}\"", name));
    }
    if (row->token == kNoToken) continue;
    const int error = -::seccomp_arch_add(filter, row->token);
    if (error == EDOM) continue;  // the other byte order
    if (error != 0 && error != EEXIST) {
      return fail(Code::InvalidArgument,
                  fmt::format("cannot put the architecture {} into the seccomp filter: {}", name,
                              std::strerror(error)));
    }
    covered.insert(row->token);
  }
  return covered;
}

Result<std::vector<std::uint64_t>> export_program(void* filter) {
  const Fd file(::memfd_create("berth-seccomp", MFD_CLOEXEC));
  if (!file) return fail_errno("cannot make a file in memory for the seccomp program");
  const int error = -::seccomp_export_bpf(filter, file.get());
  if (error != 0) return fail_errno("cannot compile the seccomp profile", error);
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_errno("cannot rewind the seccomp program");
  const std::string bytes = TRY(read_all(file.get()));
  std::vector<std::uint64_t> instructions(bytes.size() / sizeof(std::uint64_t));
  std::memcpy(instructions.data(), bytes.data(), instructions.size() * sizeof(std::uint64_t));
  return instructions;
}

// The highest number that libseccomp has a name for.
unsigned newest_known(std::uint32_t architecture) {
  for (unsigned number = kHighestNumber; number > 0; --number) {
    char* name = ::seccomp_syscall_resolve_num_arch(architecture, static_cast<int>(number));
    const bool known = name != nullptr;
    ::free(name);
    if (known) return number;
  }
  return kHighestNumber;
}

bool refuses(const SeccompVerdict& verdict) {
  switch (verdict.action) {
    case SeccompAction::Errno:
      return verdict.data != ENOSYS;
    case SeccompAction::KillThread:
    case SeccompAction::KillProcess:
    case SeccompAction::Trap:
      return true;
    default:
      return false;
  }
}

std::uint64_t encode(const sock_filter& instruction) {
  std::uint64_t word = 0;
  std::memcpy(&word, &instruction, sizeof(word));
  return word;
}

// Goes before the program: for each architecture, numbers above the newest known one return ENOSYS.
std::vector<std::uint64_t> newer_calls_stub(std::set<std::uint32_t> tokens) {
  constexpr std::uint8_t kPerArchitecture = 4;
  tokens.erase(SCMP_ARCH_X32);  // the kernel reports its calls as x86-64's with a bit set
  std::vector<std::uint64_t> stub;
  const auto add = [&stub](sock_filter instruction) { stub.push_back(encode(instruction)); };
  add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
  auto left = static_cast<std::uint8_t>(tokens.size());
  for (const std::uint32_t token : tokens) {
    --left;
    const auto to_return = static_cast<std::uint8_t>(left * kPerArchitecture + 1);
    add(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, token, 0, kPerArchitecture - 1));
    add(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    add(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, token == SCMP_ARCH_X86_64 ? ~kX32Bit : ~0U));
    const auto to_program = static_cast<std::uint8_t>(to_return + 1);
    add(BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, newest_known(token), to_return, to_program));
  }
  add(BPF_STMT(BPF_JMP | BPF_JA, 1));  // none of them: the program deals with it
  add(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
  return stub;
}

}  // namespace

std::string_view native_seccomp_architecture() {
  const std::uint32_t native = ::seccomp_arch_native();
  const auto* const found = std::find_if(kArchitectures.begin(), kArchitectures.end(),
                                         [&](const auto& row) { return row.token == native; });
  BERTH_ASSERT(found != kArchitectures.end());
  return found->name;
}

bool is_seccomp_architecture(std::string_view name) { return find_architecture(name) != nullptr; }

std::vector<std::string_view> seccomp_architectures() {
  std::vector<std::string_view> names;
  for (const Architecture& row : kArchitectures) names.push_back(row.name);
  return names;
}

Result<SeccompProgram> compile_seccomp(const SeccompProfile& profile) {
  TRY(check_size(profile.rules));
  const std::uint32_t fallback = action_of(profile.fallback);
  const Filter filter(::seccomp_init(fallback));
  if (!filter)
    return fail(Code::Internal, "cannot begin a seccomp filter: libseccomp refuses its default action");
  static_cast<void>(
      ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, kBinaryTree));  // slower without
  const std::set<std::uint32_t> covered = TRY(add_architectures(filter.get(), profile.architectures));
  for (const SeccompRule& rule : profile.rules) TRY(add_rule(filter.get(), rule, fallback));

  SeccompProgram program{TRY(export_program(filter.get())), seccomp_install_flags(profile)};
  if (refuses(profile.fallback)) {
    const std::vector<std::uint64_t> stub = newer_calls_stub(covered);
    program.instructions.insert(program.instructions.begin(), stub.begin(), stub.end());
  }
  if (program.instructions.size() > BPF_MAXINSNS) {
    return fail(Code::InvalidArgument,
                fmt::format("the seccomp profile needs {} instructions, the kernel takes {}: give "
                            "fewer rules",
                            program.instructions.size(), BPF_MAXINSNS));
  }
  return program;
}

}  // namespace berth::sys

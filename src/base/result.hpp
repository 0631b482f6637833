// Errors of the control plane: Result<T>, Error and TRY. Nothing here throws.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

namespace berth {

// gRPC's sixteen codes, so that CRI is the identity and REST and exit codes are one table each.
// Source: https://grpc.io/docs/guides/status-codes/
enum class Code {
  Cancelled = 1,
  Unknown = 2,
  InvalidArgument = 3,
  DeadlineExceeded = 4,
  NotFound = 5,
  AlreadyExists = 6,
  PermissionDenied = 7,
  ResourceExhausted = 8,
  FailedPrecondition = 9,
  Aborted = 10,
  OutOfRange = 11,
  Unimplemented = 12,
  Internal = 13,
  Unavailable = 14,
  DataLoss = 15,
  Unauthenticated = 16,
};

// The code's name as gRPC spells it, e.g. "NOT_FOUND".
std::string_view code_name(Code code);

// The code that an errno value stands for; Internal where none fits better.
Code code_from_errno(int errno_value);

// What was attempted, on what, and why it failed. `context` gains a prefix at each level that knows more.
struct Error {
  Code code = Code::Unknown;
  int sys_errno = 0;    // 0 when no system call failed
  std::string message;  // lower case, no full stop: "cannot open /x: No such file or directory"

  // The same error, said to have happened during `attempt`: "attempt: message".
  Error during(std::string_view attempt) &&;
};

template <typename T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
};

using Failure = tl::unexpected<Error>;

[[nodiscard]] Failure fail(Error error);
[[nodiscard]] Failure fail(Code code, std::string message);
// "operation: strerror(errno)", with the code that fits `errno_value`.
[[nodiscard]] Failure fail_errno(std::string_view operation, int errno_value = errno);

namespace detail {
template <typename T>
T take(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}
}  // namespace detail

}  // namespace berth

#define BERTH_CONCAT_INNER(a, b) a##b
#define BERTH_CONCAT(a, b) BERTH_CONCAT_INNER(a, b)

// Evaluates to the value of a Result, or returns its error from the enclosing function.
#define TRY(...) BERTH_TRY_AS(BERTH_CONCAT(berth_try_, __COUNTER__), __VA_ARGS__)
#define BERTH_TRY_AS(name, ...)                               \
  ({                                                          \
    auto name = (__VA_ARGS__);                                \
    if (!name) return ::berth::fail(std::move(name).error()); \
    ::berth::detail::take(std::move(name));                   \
  })

// Like TRY, but says in the returned error what was being attempted.
#define TRY_DURING(attempt, ...) \
  BERTH_TRY_DURING_AS(BERTH_CONCAT(berth_try_, __COUNTER__), attempt, __VA_ARGS__)
#define BERTH_TRY_DURING_AS(name, attempt, ...)                               \
  ({                                                                          \
    auto name = (__VA_ARGS__);                                                \
    if (!name) return ::berth::fail(std::move(name).error().during(attempt)); \
    ::berth::detail::take(std::move(name));                                   \
  })

// A broken invariant is a bug: says where and aborts, in every build.
#define BERTH_ASSERT(condition)                                               \
  do {                                                                        \
    if (!(condition)) ::berth::assert_failed(#condition, __FILE__, __LINE__); \
  } while (false)

namespace berth {
[[noreturn]] void assert_failed(const char* condition, const char* file, int line);
}  // namespace berth

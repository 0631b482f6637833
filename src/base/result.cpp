#include "base/result.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace berth {

std::string_view code_name(Code code) {
  switch (code) {
    case Code::Cancelled:
      return "CANCELLED";
    case Code::Unknown:
      return "UNKNOWN";
    case Code::InvalidArgument:
      return "INVALID_ARGUMENT";
    case Code::DeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case Code::NotFound:
      return "NOT_FOUND";
    case Code::AlreadyExists:
      return "ALREADY_EXISTS";
    case Code::PermissionDenied:
      return "PERMISSION_DENIED";
    case Code::ResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case Code::FailedPrecondition:
      return "FAILED_PRECONDITION";
    case Code::Aborted:
      return "ABORTED";
    case Code::OutOfRange:
      return "OUT_OF_RANGE";
    case Code::Unimplemented:
      return "UNIMPLEMENTED";
    case Code::Internal:
      return "INTERNAL";
    case Code::Unavailable:
      return "UNAVAILABLE";
    case Code::DataLoss:
      return "DATA_LOSS";
    case Code::Unauthenticated:
      return "UNAUTHENTICATED";
  }
  return "UNKNOWN";
}

Code code_from_errno(int errno_value) {
  switch (errno_value) {
    case ENOENT:
    case ESRCH:
      return Code::NotFound;
    case EEXIST:
      return Code::AlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::PermissionDenied;
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return Code::ResourceExhausted;
    case EINVAL:
    case ENAMETOOLONG:
    case ELOOP:
      return Code::InvalidArgument;
    case EBUSY:
    case ENOTEMPTY:
      return Code::FailedPrecondition;
    case ENOSYS:
    case EOPNOTSUPP:
      return Code::Unimplemented;
    case ETIMEDOUT:
      return Code::DeadlineExceeded;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EAGAIN:
      return Code::Unavailable;
    case EINTR:
      return Code::Cancelled;
    default:
      return Code::Internal;
  }
}

Error Error::during(std::string_view attempt) && {
  message.insert(0, std::string(attempt) + ": ");
  return std::move(*this);
}

Failure fail(Error error) { return Failure(std::move(error)); }

Failure fail(Code code, std::string message) { return Failure(Error{code, 0, std::move(message)}); }

Failure fail_errno(std::string_view operation, int errno_value) {
  return Failure(Error{code_from_errno(errno_value), errno_value,
                       std::string(operation) + ": " + std::strerror(errno_value)});
}

void assert_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "berth: bug: %s does not hold at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace berth

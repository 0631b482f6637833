// What is said to CRIU and what it answers (criu/images/rpc.proto), over a SOCK_SEQPACKET socket.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "oci/run/protobuf.hpp"
#include "sys/fd.hpp"

namespace berth::oci {

// criu_req_type; answers have the type of what they answer, or Notify.
enum class CriuCall : std::uint32_t { Empty = 0, Dump = 1, Restore = 2, PreDump = 4, Notify = 6 };

// Fields of criu_opts, by what is in them.
enum class CriuFlag : std::uint32_t {
  LeaveRunning = 3,
  ExtUnixSk = 4,
  TcpEstablished = 5,
  EvasiveDevices = 6,
  ShellJob = 7,
  FileLocks = 8,
  NotifyScripts = 12,
  TrackMem = 15,
  AutoDedup = 16,
  RestoreSibling = 26,
  OrphanPtsMaster = 50,
};
enum class CriuNumber : std::uint32_t {
  ImagesDirFd = 1,  // descriptors of directories are those of the process that made the socket
  Pid = 2,
  LogLevel = 9,
  WorkDirFd = 17,
  ManageCgroups = 34,
};
enum class CriuText : std::uint32_t {
  LogFile = 10,
  Root = 13,
  ParentImage = 14,
  External = 37,  // any number of them
  FreezeCgroup = 44,
  ConfigFile = 51,
};

class CriuRequest {
 public:
  explicit CriuRequest(CriuCall call) : call_(call) {}
  CriuCall call() const { return call_; }

  void flag(CriuFlag field, bool on = true);
  void number(CriuNumber field, int value);  // not negative
  void text(CriuText field, std::string_view value);
  // What the images call `key` is CRIU's own descriptor `fd`.
  void inherit(std::string_view key, int fd);

  std::string bytes() const;

 private:
  CriuCall call_;
  ProtobufWriter options_;
};

struct CriuAnswer {
  CriuCall call = CriuCall::Empty;
  bool success = false;
  pid_t pid = -1;       // of what was restored
  std::string script;   // what a Notify is about
  std::string message;  // of an error
};
// InvalidArgument for what is no answer.
Result<CriuAnswer> parse_criu_answer(std::string_view bytes);

struct CriuOutcome {
  pid_t pid = -1;    // of the process that was restored
  sys::Fd terminal;  // the other end of the terminal that it had, if it asked for somebody to take it
};
// Asks and waits for the answer, at most half an hour between one message and the next. `socket` is blocking.
Result<CriuOutcome> ask_criu(int socket, const CriuRequest& request);

}  // namespace berth::oci

// A real supervisor in another process: it gets the listener by its socket, and decides the workload's calls.
#include "sys/seccomp_listener.hpp"

#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "base/text.hpp"
#include "sys/process.hpp"
#include "sys/stream_socket.hpp"

namespace berth::sys {
namespace {

constexpr int kAnswer = 4242;

SeccompProgram asking_about(const std::vector<std::string>& calls, unsigned flags = 0) {
  SeccompProfile profile;
  profile.flags = flags;
  profile.rules = {{calls, {SeccompAction::Notify, 0}, {}}};
  auto program = compile_seccomp(profile);
  EXPECT_TRUE(program) << program.error().message;
  return *std::move(program);
}

// Answers each call with `value` until the filter's last process has gone.
int supervise(int listener, int value) {
  int answered = 0;
  for (;;) {
    seccomp_notif asked{};
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
      if (errno == EINTR) continue;
      return answered;
    }
    seccomp_notif_resp answer{};
    answer.id = asked.id;
    if (asked.data.nr == SYS_getppid)
      answer.val = value;
    else
      answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0) ++answered;
  }
}

struct Workload {
  pid_t pid = -1;
  Fd pidfd;
};

Workload start(const SeccompListener& listener, const SeccompProgram& program) {
  Workload workload;
  int pidfd = -1;
  workload.pid = clone_process({}, &pidfd);
  if (workload.pid == 0) {
    if (hide_from_ptrace() != 0 || set_no_new_privileges() != 0) ::_exit(100);
    if (const int error = listener.install(program); error != 0) ::_exit(error);
    ::_exit(::syscall(SYS_getppid) == kAnswer ? 0 : 101);
  }
  workload.pidfd = Fd(pidfd);
  return workload;
}

TEST(SeccompListener, ASupervisorAnswersThroughItsSocket) {
  const std::string path = "/tmp/berth-agent-" + random_hex(8);
  const Fd agent(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size());
  ASSERT_EQ(::bind(agent.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(agent.get(), 1), 0);
  std::string heard;
  int answered = 0;
  std::thread supervisor([&] {
    const Fd connection(::accept(agent.get(), nullptr, nullptr));
    std::array<char, 64> text{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec part{text.data(), text.size()};
    msghdr header{nullptr, 0, &part, 1, control.data(), control.size(), 0};
    const ssize_t count = ::recvmsg(connection.get(), &header, MSG_CMSG_CLOEXEC);
    heard.assign(text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    int fd = -1;
    if (const cmsghdr* rights = CMSG_FIRSTHDR(&header)) std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    const Fd listener(fd);
    answered = supervise(listener.get(), kAnswer);
  });

  const auto listener = SeccompListener::create();
  ASSERT_TRUE(listener);
  const Workload workload = start(*listener, asking_about({"getppid"}));
  auto taken = listener->take(workload.pidfd.get());
  ASSERT_TRUE(taken) << taken.error().message;
  const auto connection = connect_stream(path);
  ASSERT_TRUE(connection) << connection.error().message;
  const int fd = taken->get();
  ASSERT_TRUE(send_with_descriptors(connection->get(), R"({"pid":1})", {&fd, 1}));
  taken->reset();
  EXPECT_EQ(**reap(workload.pid, true), 0);
  supervisor.join();
  EXPECT_EQ(heard, R"({"pid":1})");
  EXPECT_EQ(answered, 1);
  ::unlink(path.c_str());
}

// Also the calls that speak to the launcher may be the supervisor's to decide; and with every flag there is.
TEST(SeccompListener, EveryCallMayBeAskedAbout) {
  const unsigned flags =
      SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
  const auto listener = SeccompListener::create();
  ASSERT_TRUE(listener);
  const Workload workload =
      start(*listener, asking_about({"getppid", "sendmsg", "write", "close", "futex", "exit_group"}, flags));
  const auto taken = listener->take(workload.pidfd.get());
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_EQ(supervise(taken->get(), kAnswer), 2);  // getppid, exit_group
  EXPECT_EQ(**reap(workload.pid, true), 0);
}

TEST(SeccompListener, FailuresReachBothSides) {
  SeccompProgram broken = asking_about({"getppid"});
  broken.instructions.clear();
  const auto listener = SeccompListener::create();
  const Workload workload = start(*listener, broken);
  const auto taken = listener->take(workload.pidfd.get());
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().sys_errno, EINVAL) << taken.error().message;
  EXPECT_EQ(exit_code_of(**reap(workload.pid, true)), EINVAL);
}

TEST(SeccompListener, ADeadChildIsNoticed) {
  const auto listener = SeccompListener::create();
  int pidfd = -1;
  const pid_t pid = clone_process({}, &pidfd);
  if (pid == 0) ::_exit(0);
  const Fd owned(pidfd);
  EXPECT_EQ(listener->take(pidfd).error().code, Code::Aborted);
  EXPECT_TRUE(reap(pid, true));
}

TEST(SeccompListener, WithoutAPlaceForTheListenerNothingIsInstalled) {
  EXPECT_EQ(install_seccomp(asking_about({"getppid"})), EINVAL);
  EXPECT_GT(::syscall(SYS_getppid), 0);
}

TEST(StreamSocket, NobodyThereIsNamed) {
  const auto absent = connect_stream("/tmp/berth-no-such-socket");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, Code::NotFound);
  EXPECT_NE(absent.error().message.find("/tmp/berth-no-such-socket"), std::string::npos);
}

}  // namespace
}  // namespace berth::sys

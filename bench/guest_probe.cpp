// What bench/bench_vm runs in guests and natively: prints "name nanoseconds" for each kind of work, the best
// of three rounds; with the argument "parallel" that of two processes. As init's child it needs nothing but
// /proc and /dev/zero.
#include <emmintrin.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <vector>

namespace {

constexpr double kRoundNs = 100e6;  // a guest's clock may move by 4e6 at a time
constexpr int kRounds = 3;
constexpr unsigned kMostTimes = 1U << 24;

volatile std::uint64_t sink = 0;
void use(std::uint64_t value) { sink = sink + value; }

double now_ns() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

template <class Work>
double time_of(Work& work, unsigned times) {
  const double begin = now_ns();
  for (unsigned i = 0; i < times; ++i) work();
  return now_ns() - begin;
}

// The clock is read once a round, since where it is a system call it may cost more than the work.
template <class Work>
void measure(const char* name, Work work, double parts = 1) {
  work();
  unsigned times = 1;
  double took = time_of(work, times);
  while (took < kRoundNs / 8 && times < kMostTimes) took = time_of(work, times *= 2);
  times = std::max(1U, static_cast<unsigned>(kRoundNs / took * times));
  double best = 1e18;
  for (int round = 0; round < kRounds; ++round) best = std::min(best, time_of(work, times) / times);
  std::printf("%s %.1f\n", name, best / parts);
  std::fflush(stdout);
}

// SHA-256's rounds over 1 KiB, with constants of no meaning: the work is the same.
std::uint32_t mix(const std::vector<std::uint32_t>& words) {
  constexpr auto rotate = [](std::uint32_t value, int by) { return value >> by | value << (32 - by); };
  std::array<std::uint32_t, 8> s{1, 2, 3, 4, 5, 6, 7, 8};
  for (std::size_t i = 0; i < 16 * 64; ++i) {
    const std::uint32_t first = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
                                ((s[4] & s[5]) ^ (~s[4] & s[6])) + words[i % words.size()];
    const std::uint32_t second = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
                                 ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    std::copy_backward(s.begin(), s.end() - 1, s.end());
    s[4] += first;
    s[0] = first + second;
  }
  return s[0];
}

struct Node {
  int key = 0;
  Node* left = nullptr;
  Node* right = nullptr;
};
std::uint64_t sum(const Node* node) {
  return node == nullptr ? 0 : static_cast<std::uint64_t>(node->key) + sum(node->left) + sum(node->right);
}
[[gnu::noinline]] unsigned fibonacci(unsigned n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

int compare(const void* a, const void* b) {
  const int x = *static_cast<const int*>(a), y = *static_cast<const int*>(b);
  return x < y ? -1 : x > y ? 1 : 0;
}

void integer_work(std::mt19937& random) {
  std::vector<std::uint32_t> words(256);
  std::generate(words.begin(), words.end(), std::ref(random));
  measure("sha256", [&] { use(mix(words)); });
  std::vector<int> numbers(10000);
  measure("qsort", [&] {
    for (int& number : numbers) number = static_cast<int>(random());
    std::qsort(numbers.data(), numbers.size(), sizeof(int), compare);
  });
  std::vector<Node> nodes(8192);
  for (Node& node : nodes) {
    node.key = static_cast<int>(random() >> 4);
    for (Node* place = &nodes[0]; place != &node;) {
      Node*& next = node.key < place->key ? place->left : place->right;
      if (next == nullptr) next = &node;
      place = next;
    }
  }
  measure("tree", [&] { use(sum(&nodes[0])); });
  volatile unsigned depth = 18;  // not to be worked out beforehand
  measure("calls", [&] { use(fibonacci(depth)); });
  std::vector<std::size_t> order(4096);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  std::vector<void*> chain(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) chain[order[i]] = &chain[order[(i + 1) % order.size()]];
  measure("chase", [&] {
    void** place = chain.data();
    for (std::size_t i = 0; i < chain.size(); ++i) place = static_cast<void**>(*place);
    use(reinterpret_cast<std::uintptr_t>(place));
  });
}

// How many of the bytes are `wanted`. By SSE2, which each x86-64 has, so that all systems run the same
// instructions.
[[gnu::noinline]] std::uint64_t count_bytes(const std::vector<char>& bytes, char wanted) {
  const __m128i pattern = _mm_set1_epi8(wanted), one = _mm_set1_epi8(1), zero = _mm_setzero_si128();
  __m128i sums = zero;
  for (std::size_t i = 0; i + sizeof(__m128i) <= bytes.size(); i += sizeof(__m128i)) {
    const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + i));
    const __m128i equal = _mm_and_si128(_mm_cmpeq_epi8(part, pattern), one);
    sums = _mm_add_epi64(sums, _mm_sad_epu8(equal, zero));
  }
  std::array<std::uint64_t, 2> halves{};
  std::memcpy(halves.data(), &sums, sizeof sums);
  return halves[0] + halves[1];
}

void float_work() {
  constexpr std::size_t kSize = 96;
  using Matrix = std::array<std::array<double, kSize>, kSize>;
  const auto a = std::make_unique<Matrix>(), b = std::make_unique<Matrix>(), c = std::make_unique<Matrix>();
  for (std::size_t i = 0; i < kSize * kSize; ++i)
    (*a)[i / kSize][i % kSize] = (*b)[i / kSize][i % kSize] = static_cast<double>(i % 101);
  measure("dgemm", [&] {
    for (std::size_t i = 0; i < kSize; ++i) {
      for (std::size_t k = 0; k < kSize; ++k) {
        const double factor = (*a)[i][k];
        for (std::size_t j = 0; j < kSize; ++j) (*c)[i][j] += factor * (*b)[k][j];
      }
    }
    use(static_cast<std::uint64_t>((*c)[3][3]));
  });
  std::vector<char> from(65536, 'x'), to(65536);
  measure("memcpy", [&] {
    std::memcpy(to.data(), from.data(), to.size());
    use(static_cast<unsigned char>(to[99]));
  });
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<char>(i * 7);
  measure("vector", [&] { use(count_bytes(from, 'x')); });
}

void fault_pages() {
  constexpr std::size_t kPages = 64, kPage = 4096;
  void* const memory =
      mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  for (std::size_t i = 0; i < kPages; ++i) static_cast<volatile char*>(memory)[i * kPage] = 1;
  munmap(memory, kPages * kPage);
}

void wait_for(pid_t child) {
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) std::abort();
}

void kernel_work(const char* self) {
  measure("getpid", [] { syscall(SYS_getpid); });
  const int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  std::array<char, 16> bytes;
  measure("read", [&] { use(static_cast<std::uint64_t>(read(zero, bytes.data(), bytes.size()))); });
  measure("open", [] { close(open("/proc/self/stat", O_RDONLY | O_CLOEXEC)); });
  std::signal(SIGUSR1, [](int) {});
  measure("signal", [] { std::raise(SIGUSR1); });
  measure("fault", fault_pages, 64);
  measure("fork", [] {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    wait_for(child);
  });
  measure("exec", [self] {
    const pid_t child = vfork();
    if (child == 0) {
      execl(self, self, "nothing", nullptr);
      _exit(1);
    }
    wait_for(child);
  });
}

void pipe_work() {
  std::array<int, 2> there{}, back{};
  if (pipe(there.data()) != 0 || pipe(back.data()) != 0) std::abort();
  char byte = 'x';
  const pid_t child = fork();
  if (child == 0) {
    close(there[1]);
    while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1) {
    }
    _exit(0);
  }
  measure("pipe", [&] {
    if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1) std::abort();
  });
  close(there[1]);
  wait_for(child);
}

// Hands over from `mine` to `other`, and waits for the turn to come back. False where the other has ended it.
constexpr std::uint32_t kEnded = 2;
using Turn = std::atomic<std::uint32_t>;
void wake(Turn& turn) { syscall(SYS_futex, &turn, FUTEX_WAKE, 1, nullptr, nullptr, 0); }
bool hand_over(Turn& turn, std::uint32_t mine, std::uint32_t other) {
  turn = other;
  wake(turn);
  for (std::uint32_t now = turn; now != mine; now = turn) {
    if (now == kEnded) return false;
    syscall(SYS_futex, &turn, FUTEX_WAIT, now, nullptr, nullptr, 0);
  }
  return true;
}

// Two processes on one processor, of which one runs while the other waits for its turn: a round is two
// switches. The last one, as the process stays on that processor.
void switch_work() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(sched_getcpu()), &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) std::abort();
  void* const shared = mmap(nullptr, sizeof(Turn), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) std::abort();
  Turn& turn = *new (shared) Turn(0);
  const pid_t child = fork();
  if (child == 0) {
    while (hand_over(turn, 1, 0)) {
    }
    _exit(0);
  }
  measure(
      "switch", [&] { hand_over(turn, 0, 1); }, 2);
  turn = kEnded;
  wake(turn);
  wait_for(child);
}

// Two processes sort, each its own numbers: as much work on one processor as on two.
void parallel_work(std::mt19937& random) {
  constexpr std::size_t kNumbers = 300000;
  std::vector<int> numbers(kNumbers);
  for (int& number : numbers) number = static_cast<int>(random());
  measure("parallel", [&] {
    std::array<pid_t, 2> children{};
    for (pid_t& child : children) {
      child = fork();
      if (child != 0) continue;
      std::qsort(numbers.data(), numbers.size(), sizeof(int), compare);
      _exit(0);
    }
    for (const pid_t child : children) wait_for(child);
  });
}

}  // namespace

int main(int count, char** arguments) {
  std::mt19937 random(1);
  if (count > 1) {
    if (std::strcmp(arguments[1], "parallel") == 0) parallel_work(random);
    return 0;  // else: what "exec" starts
  }
  integer_work(random);
  float_work();
  kernel_work(arguments[0]);
  pipe_work();
  switch_work();
}

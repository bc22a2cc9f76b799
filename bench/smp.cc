// What several CPUs cost each other, on this computer's own processors: threads as CPUs (hal/host),
// and beside them, in the same run, threads that do the same with a futex or with a pthread's mutex
// and condition variable. And in the simulator, where a message costs nothing and a step is a
// machine call, how both grow with the number of CPUs.
//
//     bazel run -c opt //bench:smp               everything, in half a minute
//     bazel run -c opt //bench:smp -- --quick    that it runs; the figures are worth nothing
//
// Each figure of the first part is the median of many short stretches, and of several runs the
// least: the one that others on this computer have disturbed least. Those measured take turns.

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "hal/host/host.h"
#include "hal/sim/sim.h"
#include "hal/stack/stack.h"
#include "sched/policy/fixed_priority.h"
#include "sched/scheduler.h"

namespace {

using hal::CpuNumber;
using hal::Duration;
using hal::Instant;

constexpr size_t kMostStretches = 200;
size_t stretches = kMostStretches;
int runs = 5;
constexpr uint64_t kRounds = 100;  // of a stretch

uint64_t now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

// Nanoseconds a round, of the stretch in the middle.
template <typename F>
double median_of(F round) {
  std::array<uint64_t, kMostStretches> all;  // no allocation: a task may be interrupted anywhere
  const std::span elapsed = std::span(all).first(stretches);
  for (uint64_t& each : elapsed) {
    const uint64_t start = now();
    for (uint64_t k = 0; k < kRounds; ++k) round();
    each = now() - start;
  }
  std::ranges::sort(elapsed);
  return static_cast<double>(elapsed[elapsed.size() / 2]) / kRounds;
}

// ---- Baton, on threads

template <typename S>
bool on_interrupt(hal::Interrupt interrupt) {
  typename S::Interrupt guard;
  if (interrupt.cause == hal::Cause::timer) S::on_timer();
  if (interrupt.cause == hal::Cause::kick) S::on_kick();
  return guard.leave();
}

// A kernel of `cpus` with `tasks`, each on its CPU; over when the first of them ends. As it ships;
// `kPolls` is how often an idle CPU looks for mail before it sleeps.
template <unsigned kPolls>
class Kernel {
 public:
  using S =
      sched::Scheduler<hal::host::Machine, sched::FixedPriority, sched::Options{.polls = kPolls}>;
  struct Task : S::Task {
    Task(CpuNumber cpu, std::function<void()> body) : cpu(cpu), body(std::move(body)) {}
    const CpuNumber cpu;
    const std::function<void()> body;
    const hal::stack::Stack stack;
  };

  explicit Kernel(CpuNumber cpus) : cpus_(cpus), blocks_(new typename S::Cpu[cpus]) {}

  Task& add(CpuNumber cpu, std::function<void()> body) {
    return *tasks_.emplace_back(std::make_unique<Task>(cpu, std::move(body)));
  }

  void run() {
    hal::host::Cpus cpus(
        {.cpus = cpus_, .interrupt = on_interrupt<S>, .preempt = S::preempt, .pinned = true});
    std::atomic<CpuNumber> begun = 0;
    cpus.run([&](CpuNumber cpu) {
      S::start({blocks_.get(), cpus_}, cpu, [](typename S::Task&) {});
      ++begun;
      while (begun != cpus_) S::relax();
      for (auto& task : tasks_) {
        if (task->cpu != cpu) continue;
        const auto enter = [](void* task) {
          static_cast<Task*>(task)->body();
          hal::host::Cpus::power_off();
        };
        if (!S::spawn(*task, task->stack, enter, task.get())) std::abort();
      }
      S::run();
    });
  }

 private:
  const CpuNumber cpus_;
  const std::unique_ptr<typename S::Cpu[]> blocks_;
  std::vector<std::unique_ptr<Task>> tasks_;
};

// Two tasks that wake each other and park: nanoseconds a wake, to the first instruction after it.
template <unsigned kPolls>
double ping_pong(CpuNumber other) {
  using S = Kernel<kPolls>::S;
  Kernel<kPolls> kernel(2);
  typename S::Task* partner = nullptr;
  std::atomic<bool> ready = false;
  double round = 0;
  auto& first = kernel.add(0, [&] {
    while (!ready) S::yield();
    round = median_of([&] {
      S::wake(*partner);
      S::park();
    });
  });
  partner = &kernel.add(other, [&] {
    for (ready = true;;) {
      S::park();
      S::wake(first);
    }
  });
  kernel.run();
  return round / 2;
}

// On each of `cpus` two tasks that wake each other and park: million wakes a second, of all.
double local_wakes(CpuNumber cpus) {
  using S = Kernel<0>::S;
  Kernel<0> kernel(cpus);
  std::vector<typename Kernel<0>::Task*> partners(cpus);
  std::vector<double> rounds(cpus);
  std::atomic<CpuNumber> ended = 0, ready = 0;
  for (CpuNumber cpu = 0; cpu < cpus; ++cpu) {
    auto& first = kernel.add(cpu, [&, cpu] {
      for (++ready; ready != cpus;) S::relax();
      rounds[cpu] = median_of([&] {
        S::wake(*partners[cpu]);
        S::park();
      });
      if (++ended != cpus) S::park();
    });
    partners[cpu] = &kernel.add(cpu, [&] {
      for (;;) {
        S::park();
        S::wake(first);
      }
    });
  }
  kernel.run();
  double all = 0;
  for (const double each : rounds) all += 2e3 / each;
  return all;
}

// ---- The same by the system's own means

void pin(size_t index) {
  cpu_set_t allowed;
  sched_getaffinity(getpid(), sizeof(allowed), &allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || index-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
    return;
  }
}

// A permit, as `park` has one.
class FutexPermit {
 public:
  void give() {
    word_.store(1, std::memory_order_release);
    syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
  void take() {
    while (word_.exchange(0, std::memory_order_acquire) == 0) {
      syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
    }
  }

 private:
  std::atomic<uint32_t> word_{0};
};

class ConditionPermit {
 public:
  void give() {
    pthread_mutex_lock(&mutex_);
    given_ = true;
    pthread_cond_signal(&changed_);
    pthread_mutex_unlock(&mutex_);
  }
  void take() {
    pthread_mutex_lock(&mutex_);
    while (!given_) pthread_cond_wait(&changed_, &mutex_);
    given_ = false;
    pthread_mutex_unlock(&mutex_);
  }

 private:
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t changed_ = PTHREAD_COND_INITIALIZER;
  bool given_ = false;
};

// One that never sleeps: what the processors themselves need.
class SpinPermit {
 public:
  void give() { word_.store(1, std::memory_order_release); }
  void take() {
    while (word_.load(std::memory_order_acquire) == 0) asm volatile("");
    word_.store(0, std::memory_order_relaxed);
  }

 private:
  std::atomic<uint32_t> word_{0};
};

template <typename Permit>
double thread_ping_pong(size_t other) {
  std::array<Permit, 2> permits;
  std::atomic<bool> is_over = false;
  double round = 0;
  std::thread second([&] {
    pin(other);
    while (!is_over) {
      permits[1].take();
      permits[0].give();
    }
  });
  std::thread first([&] {
    pin(0);
    round = median_of([&] {
      permits[1].give();
      permits[0].take();
    });
    is_over = true;
    permits[1].give();
  });
  first.join();
  second.join();
  return round / 2;
}

// ---- Tables

void measure_threads() {
  struct Line {
    const char* name;
    double (*measure)();
    double value = 1e9;
  };
  std::vector<Line> lines = {
      {"Baton, other CPU asleep", [] { return ping_pong<0>(1); }},
      {"Baton, other CPU looks for mail", [] { return ping_pong<10'000>(1); }},
      {"Baton, one CPU", [] { return ping_pong<0>(0); }},
      {"futex, two processors", [] { return thread_ping_pong<FutexPermit>(1); }},
      {"futex, one processor", [] { return thread_ping_pong<FutexPermit>(0); }},
      {"pthread condition, two processors", [] { return thread_ping_pong<ConditionPermit>(1); }},
      {"spinning, two processors", [] { return thread_ping_pong<SpinPermit>(1); }},
  };
  double one = 0;
  double two = 0;
  for (int run = 0; run < runs; ++run) {
    for (Line& line : lines) line.value = std::min(line.value, line.measure());
    one = std::max(one, local_wakes(1));
    two = std::max(two, local_wakes(2));
  }
  const double futex = lines[3].value;
  std::printf("%-36s %10s %10s\n", "from a wake to the first instruction", "ns", "to futex");
  for (const Line& line : lines) {
    std::printf("%-36s %10.0f %10.2f\n", line.name, line.value, line.value / futex);
  }
  std::printf("\n%-36s %10s\n", "wakes and switches of one's own", "million/s");
  std::printf("%-36s %10.1f\n%-36s %10.1f   %.2f times as many\n", "one CPU", one, "two CPUs", two,
              two / one);
}

// ---- In the simulator

// Every CPU has a task that wakes a more urgent one, over and over: one of its own, or one of the
// next CPU. So much is done, and what it took.
class Simulated {
 public:
  using Sim = hal::sim::Machine;
  using S = sched::Scheduler<Sim, sched::FixedPriority, sched::Options{.cpus = 1024}>;
  static constexpr uint64_t kTurns = 20;

  Simulated(CpuNumber cpus, CpuNumber distance) : blocks_(cpus), cpus_(cpus), distance_(distance) {}

  void run() {
    hal::sim::World world({.cpus = cpus_,
                           .interleave = 0,
                           .call_cost = Duration{1},
                           .steps = UINT64_MAX,
                           .boot_stack = 32 * 1024,
                           .interrupt = on_interrupt<S>,
                           .preempt = S::preempt,
                           .watch = [this] { ++calls_; }});
    for (CpuNumber cpu = 0; cpu < cpus_; ++cpu) {
      for (uint16_t i = 0; i < 2; ++i) tasks_.push_back(std::make_unique<Task>(*this, cpu, i));
    }
    for (CpuNumber cpu = 0; cpu < cpus_; ++cpu) {
      world.boot(cpu, [this, cpu] {
        S::start(blocks_, cpu, [](S::Task&) {});
        for (int i = 0; i < 2; ++i) {
          Task& task = *tasks_[2 * cpu + static_cast<size_t>(i)];
          if (!S::spawn(task, task.stack, &Task::enter, &task, {.priority = task.index})) {
            std::abort();
          }
        }
        S::run();
      });
    }
    world.run();
    uint64_t kicks = 0;
    for (CpuNumber cpu = 0; cpu < cpus_; ++cpu) kicks += world.report(cpu).kick_interrupts;
    const uint64_t wakes = cpus_ * kTurns;
    std::printf("%10u %12llu %12.2f %12.2f %12llu\n", unsigned{cpus_},
                static_cast<unsigned long long>(wakes), double(kicks) / double(wakes),
                double(calls_) / double(wakes), static_cast<unsigned long long>(world.now().ticks));
  }

 private:
  struct Task : S::Task {
    Task(Simulated& all, CpuNumber cpu, uint16_t index) : all(all), cpu(cpu), index(index) {}
    static void enter(void* argument) {
      Task& self = *static_cast<Task*>(argument);
      for (uint64_t i = 0; i < kTurns; ++i) {
        if (self.index == 1) {
          S::park();
        } else {
          const size_t to = (self.cpu + size_t{self.all.distance_}) % self.all.cpus_;
          S::wake(*self.all.tasks_[2 * to + 1]);
          Sim::spend(Duration{1000});  // and the other one has run
        }
      }
    }
    Simulated& all;
    const CpuNumber cpu;
    const uint16_t index;
    const hal::stack::Stack stack{32 * 1024};
  };

  std::vector<S::Cpu> blocks_;
  std::vector<std::unique_ptr<Task>> tasks_;
  const CpuNumber cpus_;
  const CpuNumber distance_;  // of who is waked
  uint64_t calls_ = 0;
};

void measure_simulated(CpuNumber most) {
  for (const CpuNumber distance : {CpuNumber{0}, CpuNumber{1}}) {
    std::printf("\n%s\n%10s %12s %12s %12s %12s\n",
                distance == 0 ? "each CPU wakes its own" : "each CPU wakes the next one's", "CPUs",
                "wakes", "kicks/wake", "calls/wake", "ticks");
    for (CpuNumber cpus = 1; cpus <= most; cpus = static_cast<CpuNumber>(4 * cpus)) {
      Simulated(cpus, distance).run();
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_quick = argc > 1 && std::string_view(argv[1]) == "--quick";
  if (is_quick) {
    stretches = 2;
    runs = 1;
  }
  measure_threads();
  measure_simulated(is_quick ? 256 : 1024);
}

// Two programs and the kernel have their tasks in one pool (user/pool.cc has the programs' part):
// first come, first served over all three. Then one program never yields, and another goes on.

#include "kernel_demo/shared.h"

#include <cstddef>
#include <cstdint>

#include "kernel_demo/kernel.h"
#include "kernel_demo/user/processes.h"
#include "kernel_demo/user/shared_acts.h"
#include "kernel_demo/user/shared_image.h"
#include "sched/policy/round_robin.h"
#include "sched/shared/executor.h"
#include "sched/sync/latch.h"

namespace demo {
namespace {

using K = Kernel<sched::RoundRobin>;
using Processes = demo::Processes<K>;
using Spaces = Processes::SharedSpaces;
using S = K::S;
using sched::shared::Coroutine;
using sched::shared::Frames;

struct Environment {
  uint16_t space() const { return sched::shared::kKernelSpace; }
  uint16_t hart() const {
    const S::Masked masked;
    return S::here().number;
  }
  bool yield_to(uint16_t space) { return Spaces::yield(this->space(), space) == 0; }
  void busy() { S::yield(); }
};
using Executor = sched::shared::Executor<sched::shared::Client, Environment, 4>;

Coroutine count(Frames&, Executor& executor) {
  for (int turn = 1; turn <= 3; ++turn) {
    kit::print("  kernel   task 1  turn {}\n", turn);
    co_await executor.yield();
  }
}

Coroutine answer(Frames&, Executor& executor) {
  for (;;) {
    Spaces::Question question;
    while (Spaces::next_question(question)) {
      kit::print("  kernel   answers task {} of space {}\n", question.number, question.space);
      Spaces::answer(question);
    }
    co_await executor.pending();
  }
}

constinit sched::Latch<S> answers{1};

auto usual() { return K::Traits::attributes(10, milliseconds(kUsualSliceMs)); }

void run_kernels_tasks(void*) {
  if (!Spaces::join_kernel()) kit::panic("the kernel cannot join", nullptr);
  static Environment environment;
  static sched::shared::FramePool<4, 512> frames;
  static Executor executor(kernel_client(), environment);
  const auto answerer = executor.spawn(answer(frames, executor), 0);
  if (!answerer || !executor.spawn(count(frames, executor), 0)) {
    kit::panic("the kernel's tasks cannot be spawned", nullptr);
  }
  Spaces::set_answerer(answerer);
  answers.count_down();
  // The programs begin, and wait for their turn.
  S::sleep_for(milliseconds(kUsualSliceMs));
  executor.run();
  kit::panic("the kernel's tasks never end", nullptr);
}

Process& spawn(user::PoolAct act) {
  const auto process = Processes::spawn("pool", static_cast<uint64_t>(act), kKernel, usual());
  if (!process) kit::panic("a process cannot be spawned", nullptr);
  return **process;
}

bool wait(const Process& process) { return Processes::wait(process.id, kKernel) == 0; }

constinit unsigned cpus = 1;

void direct(void*) {
  kit::print("Tasks of two programs and of the kernel, first come, first served.\n\n");
  Processes::start();
  K::spawn("pool", run_kernels_tasks, nullptr, usual());
  answers.wait();  // a question that comes before is refused
  const Process& first = spawn(user::PoolAct::count);
  const Process& second = spawn(user::PoolAct::count);
  const bool ended = wait(first) && wait(second);
  kit::print("\n{}: every task of both programs has ended\n\n", ended ? "kept" : "BROKEN");

  const Process& hog = spawn(user::PoolAct::hog);
  S::sleep_for(milliseconds(kUsualSliceMs));
  const bool went_on = wait(spawn(user::PoolAct::count));
  K::Task& task = *Processes::task_of(hog);
  const uint64_t forced = S::usage(task).involuntary;
  S::kill(task);
  Processes::wait(hog.id, kKernel);
  // With a CPU of its own nobody may have wanted its place.
  const bool preempted = forced > 0 || cpus > 1;
  kit::print("\n{}: a space that never yields is preempted, and the others go on\n",
             went_on && preempted ? "kept" : "BROKEN");
  kit::finish(ended && went_on && preempted);
}

}  // namespace

void run_shared(const Arguments& arguments) {
  cpus = arguments.cpus;
  K::boot(direct, nullptr, cpus);
}

}  // namespace demo

// The shared scheduler on the machine that is being compiled for: its image, its permissions, its
// turns, and what becomes of the kernel and of others when a program writes what it likes. The
// guest's argument is the name of an act.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_demo/kernel.h"
#include "kernel_demo/kit.h"
#include "kernel_demo/stage.h"
#include "kernel_demo/user/pages.h"
#include "kernel_demo/user/processes.h"
#include "kernel_demo/user/shared_image.h"
#include "sched/policy/round_robin.h"
#include "sched/shared/executor.h"
#include "tests/kernel_demo/user/shared_acts.h"

namespace {

using demo::kKernel;
using demo::milliseconds;
using sched::shared::Answer;
using sched::shared::Coroutine;
using sched::shared::Frames;
using sched::shared::Handle;
using sched::shared::Result;
using user_test::SharedAct;
using user_test::SharedArgument;

using Kernel = demo::Kernel<sched::RoundRobin>;
using Processes = demo::Processes<Kernel>;
using Spaces = Processes::SharedSpaces;
using S = Kernel::S;

void check(bool holds, const char* what) {
  if (!holds) kit::panic(what, nullptr);
}

auto usual() { return Kernel::Traits::attributes(10, milliseconds(1)); }

demo::Process& spawn(SharedArgument argument) {
  const auto process = Processes::spawn("shared_tester", argument.word(), kKernel, usual());
  check(process.has_value(), "a process is spawned");
  return **process;
}
demo::Process& spawn(SharedAct act) { return spawn(SharedArgument{.act = act}); }

int64_t wait(const demo::Process& process) { return Processes::wait(process.id, kKernel); }

void expect(SharedArgument argument, int64_t ending) {
  const int64_t ended = wait(spawn(argument));
  if (ended != ending) kit::print("ended with {}\n", ended);
  check(ended == ending, "the tester ends as it should");
}

void end(demo::Process& process) {
  // One that has written over its own pool may have gone astray.
  if (Kernel::Task* const task = Processes::task_of(process)) S::kill(*task);
  wait(process);
}

// ---- The kernel's tasks

struct Environment {
  uint16_t space() const { return sched::shared::kKernelSpace; }
  uint16_t hart() const { return 0; }
  bool yield_to(uint16_t space) { return Spaces::yield(this->space(), space) == 0; }
  void busy() { S::sleep_for(milliseconds(1)); }
};
using Executor = sched::shared::Executor<sched::shared::Client, Environment, 4>;

constinit std::atomic<uint64_t> kernel_turns = 0;
constinit std::atomic<bool> kernel_answers = false;

Coroutine count(Frames&, Executor& executor) {
  for (;;) {
    ++kernel_turns;
    co_await executor.yield();
  }
}

Coroutine answer(Frames&, Executor& executor) {
  for (;;) {
    for (Spaces::Question question; Spaces::next_question(question);) Spaces::answer(question);
    co_await executor.pending();
  }
}

void run_kernels_tasks(void*) {
  check(Spaces::join_kernel().has_value(), "the kernel joins");
  static Environment environment;
  static sched::shared::FramePool<4, 512> frames;
  static Executor executor(demo::kernel_client(), environment);
  Spaces::set_answerer(executor.spawn(answer(frames, executor), 3));
  check(bool{executor.spawn(count(frames, executor), 0)}, "the kernel's tasks are spawned");
  kernel_answers = true;
  for (;;) {
    executor.run();
    // Somebody has told it that it has no tasks any more.
    S::sleep_for(milliseconds(1));
  }
}

/// They answer from here on.
void start_kernels_tasks() {
  Kernel::spawn("pool", run_kernels_tasks, nullptr, usual());
  while (!kernel_answers) S::sleep_for(milliseconds(1));
}

// ---- Acts

/// For how long programs write what they like.
constexpr uint64_t kHostileMs = 2'000;

void calls() {
  expect({.act = SharedAct::calls}, 0);
  expect({.act = SharedAct::calls, .elsewhere = true}, 0);
}

/// The same bytes, at three addresses.
void places() {
  start_kernels_tasks();
  const int64_t sum = wait(spawn({.act = SharedAct::sum}));
  check(sum > 0, "the bytes are read");
  expect({.act = SharedAct::sum, .elsewhere = true}, sum);
  const auto& header = demo::kernel_client().header();
  check(user_test::sum_of(reinterpret_cast<const unsigned char*>(&header), header.rodata_size) > 0,
        "the kernel reads its constants");
  expect({.act = SharedAct::take_turns}, 0);
  expect({.act = SharedAct::take_turns, .elsewhere = true}, 0);
}

void faults() {
  start_kernels_tasks();
  for (const auto& fault : user_test::kSharedFaults) {
    kit::print("-- {}\n", fault.name);
    const demo::Process& process = spawn(fault.act);
    while (process.task != nullptr) S::sleep_for(milliseconds(1));
    const hal::UserTrap trap = process.fault;
    check(wait(process) == user::kEndedByFault, "what may not be done ends the process by a fault");
    check(std::string_view(trap.reason).contains(fault.reason),
          "the fault is the one it should be");
  }
  expect({.act = SharedAct::take_turns}, 0);
}

/// All the while the kernel's tasks and those of others go on.
void scribble() {
  start_kernels_tasks();
  demo::Process* const hostile[] = {&spawn(SharedAct::scribble),
                                    &spawn({.act = SharedAct::scribble, .elsewhere = true})};
  for (const auto until = S::now() + milliseconds(kHostileMs); S::now() < until;) {
    const uint64_t before = kernel_turns;
    demo::Process& good = spawn(SharedAct::take_turns);
    demo::Process& worse = spawn(SharedAct::scribble);
    check(wait(good) == 0, "another space takes its turns and has its answers");
    end(worse);
    check(kernel_turns > before, "the kernel's tasks take their turns");
  }
  for (demo::Process* process : hostile) end(*process);
  expect({.act = SharedAct::take_turns}, 0);
}

void merged() {
  Spaces::set_sharing(demo::Sharing::merged);
  start_kernels_tasks();
  demo::Process* spaces[4];
  for (auto& space : spaces) space = &spawn(SharedAct::take_turns);
  for (const auto* space : spaces) check(wait(*space) == 0, "each has its turns and its answers");
  check(kernel_turns > 50, "so has the kernel");
}

/// In one pool with the kernel: its tasks may be lost, but not the kernel.
void merged_scribble() {
  Spaces::set_sharing(demo::Sharing::merged);
  start_kernels_tasks();
  for (const auto until = S::now() + milliseconds(kHostileMs); S::now() < until;) {
    demo::Process* const hostile[] = {&spawn(SharedAct::scribble), &spawn(SharedAct::scribble)};
    S::sleep_for(milliseconds(50));
    for (demo::Process* process : hostile) end(*process);
  }
}

/// Whoever has the turn and never gives it away, and whoever is killed with it, keeps nobody.
void ends() {
  start_kernels_tasks();
  for (const SharedAct act : {SharedAct::keep_turn, SharedAct::keep_tasks, SharedAct::sleep}) {
    demo::Process& other = spawn(act);
    S::sleep_for(milliseconds(5));
    const uint64_t before = kernel_turns;
    expect({.act = SharedAct::take_turns}, 0);
    check(kernel_turns > before, "the kernel's tasks take their turns");
    end(other);
    expect({.act = SharedAct::take_turns}, 0);
  }
}

void merged_ends() {
  Spaces::set_sharing(demo::Sharing::merged);
  ends();
}

/// What a space leaves in a pool that others have, too, goes with it, wherever it was killed.
void merged_leaves() {
  Spaces::set_sharing(demo::Sharing::merged);
  const auto client = demo::kernel_client();
  const auto ask = [&] {
    Answer answer;
    check(client.peek([](uint16_t) { return true; }, answer) == Result::done, "nobody is in it");
    return answer.kind;
  };
  for (const SharedAct act : {SharedAct::keep_tasks, SharedAct::keep_lock}) {
    demo::Process& space = spawn(act);
    S::sleep_for(milliseconds(5));
    if (act == SharedAct::keep_tasks) {
      check(ask() == Answer::Kind::no_wake_task, "there are tasks, of somebody who runs");
    }
    end(space);
    check(ask() == Answer::Kind::finished, "its tasks have gone with it");
  }
  // Of one that ends while somebody is in the pool, as soon as that one has gone.
  demo::Process& first = spawn(SharedAct::keep_tasks);
  S::sleep_for(milliseconds(5));
  demo::Process& second = spawn(SharedAct::keep_lock);
  S::sleep_for(milliseconds(50));
  end(first);
  end(second);
  check(ask() == Answer::Kind::finished, "their tasks have gone with them");
  // As many as there is room for in an empty one.
  expect({.act = SharedAct::calls}, 0);
}

// ---- On several CPUs

constexpr uint16_t kHarts = 4;
constexpr uint64_t kTakers = 3;  // tasks that they take: fewer than there are harts
constinit std::atomic<uint32_t> taken[kHarts]{};
constinit std::atomic<bool> is_taken[kTakers]{};
constinit std::atomic<uint32_t> met = 0;

/// Nobody goes on before all harts have come here.
void meet() {
  const uint32_t all = (met++ / kHarts + 1) * kHarts;
  while (met < all) S::relax();
}

template <typename Call>
Result patiently(Call call) {
  Result result;
  while ((result = call()) == Result::busy) S::relax();
  return result;
}

constexpr auto kNever = [](uint16_t) { return false; };

/// All see the same task, and then one gets it.
void take_one(const sched::shared::Client& client, uint16_t hart) {
  for (int round = 0; round < 20; ++round) {
    meet();
    Answer answer;
    patiently([&] { return client.peek(kNever, answer); });
    const Handle task(answer.handle);
    meet();
    const bool is_mine = patiently([&] { return client.claim(hart, task); }) == Result::done;
    check(!is_mine || !is_taken[answer.task].exchange(true), "one of those who see it gets it");
    meet();
    check(is_taken[answer.task], "somebody gets it");
    meet();
    if (!is_mine) continue;
    is_taken[answer.task] = false;
    patiently([&] { return client.wake(task); });
    patiently([&] { return client.sleep(task); });
  }
}

/// Takes tasks from the pool until each hart has had enough, by single calls and by `next`.
void take_many(const sched::shared::Client& client, uint16_t hart) {
  Handle mine;
  for (bool enough = false; !enough;) {
    Answer answer;
    Result result;
    if (taken[hart] % 2 == 0) {
      if (mine) {
        patiently([&] { return client.wake(mine); });
        patiently([&] { return client.sleep(mine); });
      }
      result = patiently([&] { return client.peek(kNever, answer); });
      if (result == Result::done && answer.kind == Answer::Kind::task) {
        result = patiently([&] { return client.claim(hart, Handle(answer.handle)); });
      }
    } else {
      result = patiently([&] { return client.next(hart, mine, true, kNever, answer); });
    }
    mine = {};
    enough = std::ranges::all_of(taken, [](const auto& count) { return count >= 400; });
    if (result != Result::done || answer.kind != Answer::Kind::task) continue;
    mine = Handle(answer.handle);
    check(!is_taken[answer.task].exchange(true), "two harts never have the same task");
    for (int i = 0; i < 20; ++i) S::relax();
    is_taken[answer.task] = false;
    ++taken[hart];
  }
  if (mine) patiently([&] { return client.remove(mine); });
}

void take(void* argument) {
  const auto hart = static_cast<uint16_t>(reinterpret_cast<uintptr_t>(argument));
  take_one(demo::kernel_client(), hart);
  meet();
  take_many(demo::kernel_client(), hart);
}

void harts() {
  const auto cpus = Kernel::cpus();
  check(cpus.size() == kHarts, "there are four CPUs");
  Handle handle;
  for (uint64_t task = 0; task < kTakers; ++task) {
    check(demo::kernel_client().add(0, 0, task, 5, handle) == Result::done, "a task is added");
  }
  const uint64_t before = Kernel::finished();
  for (const auto cpu : cpus) {
    Kernel::spawn_on(cpu, "taker", take, reinterpret_cast<void*>(uintptr_t{cpu}), usual());
  }
  Kernel::wait_for_finished(before + kHarts);
}

/// More spaces than CPUs, and the kernel.
void take_turns_together() {
  start_kernels_tasks();
  demo::Process* spaces[6];
  for (auto& space : spaces) space = &spawn(SharedAct::take_turns);
  for (const auto* space : spaces) check(wait(*space) == 0, "each has its turns and its answers");
}

void harts_apart() {
  demo::Process& hostile = spawn(SharedAct::scribble);
  take_turns_together();
  end(hostile);
}

void harts_merged() {
  Spaces::set_sharing(demo::Sharing::merged);
  demo::Process& hog = spawn(SharedAct::keep_tasks);
  take_turns_together();
  end(hog);
}

void no_room() {
  demo::Process& first = spawn(SharedAct::sleep);
  S::sleep_for(milliseconds(2));
  const size_t before = demo::pages_in_use();
  demo::limit_pages(before + 20);
  int refused = 0;
  for (size_t allowed = before + 12; allowed < before + 16; ++allowed) {
    demo::limit_pages(allowed);
    const auto process = Processes::spawn(
        "shared_tester", SharedArgument{.act = SharedAct::no_room}.word(), kKernel, usual());
    if (!process) continue;
    check(wait(**process) == 0, "there is no room, and it is told so");
    ++refused;
    check(demo::pages_in_use() == before, "every page comes back");
  }
  check(refused > 0, "there was one for which there was too little room");
  demo::limit_pages(SIZE_MAX);
  end(first);
}

constexpr struct {
  std::string_view name;
  void (*go)();
  unsigned cpus = 1;
} kActs[] = {
    {"calls", calls},
    {"mappings", [] { expect({.act = SharedAct::mappings}, 0); }},
    {"places", places},
    {"faults", faults},
    {"scribble", scribble},
    {"merged", merged},
    {"merged_scribble", merged_scribble},
    {"ends", ends},
    {"merged_ends", merged_ends},
    {"merged_leaves", merged_leaves},
    {"harts", harts, kHarts},
    {"harts_apart", harts_apart, kHarts},
    {"harts_merged", harts_merged, kHarts},
    {"no_room", no_room},
};

void direct(void* act) {
  Processes::start();
  const size_t before = demo::pages_in_use();
  kActs[reinterpret_cast<uintptr_t>(act)].go();
  check(demo::pages_in_use() == before, "every page comes back");
  kit::print("all is well\n");
  kit::finish(true);
}

}  // namespace

void kernel_main() {
  demo::guard_stacks();
  demo::prepare_diagnosis();
  for (uintptr_t i = 0; i < std::size(kActs); ++i) {
    if (kActs[i].name == kit::arguments()) {
      Kernel::boot(direct, reinterpret_cast<void*>(i), kActs[i].cpus);
    }
  }
  kit::panic("there is no such act", nullptr);
}

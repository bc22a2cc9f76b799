// The life of a task as others see it, on this machine.

#include <cstdint>

#include "kernel_demo/kernel.h"
#include "kernel_demo/selftest/policy_tests.h"
#include "kernel_demo/selftest/report.h"
#include "kernel_demo/selftest/sync_kit.h"

namespace demo::selftest {
namespace {

using sched::JoinError;

constinit volatile uint64_t rounds = 0;
constinit Waited ended_by{};

void suspended_tasks_stand_still(Test& test) {
  const S::Life worker = spawn(100, [](void*) {
    while (!S::current().kill_requested()) rounds = rounds + 1;
  });
  const auto advances = [] {
    const uint64_t before = rounds;
    S::sleep_for(milliseconds(1));
    return rounds != before;
  };
  test.expect(advances(), "it does not run");
  test.expect(S::suspend(*worker.task) && S::suspend(*worker.task), "it cannot be suspended");
  test.expect(state_of(worker) == State::suspended, "it does not say that it is suspended");
  test.expect(!advances(), "it runs though it is suspended");
  test.expect(S::resume(*worker.task) && !advances(), "it ran after one resume of two");
  test.expect(S::resume(*worker.task) && advances(), "it does not run after the second");
  test.expect(!S::resume(*worker.task), "there was one to take back");
  S::suspend(*worker.task);
  S::kill(worker);
  join(worker);
}

void suspended_waits_end(Test& test) {
  const S::Life sleeper = spawn(100, [](void*) { ended_by = S::sleep_for(milliseconds(1)); });
  settle();
  S::suspend(*sleeper.task);
  test.expect(state_of(sleeper) == State::suspended_blocked, "a sleeper is not in both states");
  S::sleep_for(milliseconds(3));
  test.expect(state_of(sleeper) == State::suspended, "its time has come and it still waits");
  settle();
  test.expect(state_of(sleeper) == State::suspended, "its timeout has resumed it");
  S::resume(*sleeper.task);
  join(sleeper);
  test.expect(ended_by == Waited::timed_out, "its sleep ended by something else");
}

void ends_are_joined(Test& test) {
  const S::Life with_value = spawn(10, [](void*) { S::exit(42); });
  const auto value = S::join(with_value);
  test.expect(value && *value == 42, "the exit value is another one");
  const auto later = S::join(with_value);
  test.expect(later && *later == 42, "it cannot be joined once more");
  const auto none = S::join(spawn(10, [](void*) {}));
  test.expect(none && *none == 0, "who returns has another value than zero");
  const auto fails = [&](S::Life life, Instant until, JoinError wanted, const char* why) {
    const auto joined = S::join(life, until);
    test.expect(!joined && joined.error() == wanted, why);
  };
  fails(with_value, sched::never, JoinError::not_alive, "an earlier life was joined");
  fails(S::life(S::current()), sched::never, JoinError::itself, "a task joined itself");
  const S::Life waiting = spawn(10, [](void*) { S::park(); });
  fails(waiting, S::now() + milliseconds(1), JoinError::timed_out, "it did not time out");
  S::kill(waiting);
  join(waiting);
  const S::Life unborn = spawn(10, [](void*) {});
  S::kill(unborn);
  fails(unborn, sched::never, JoinError::never_ran, "one that never ran has a value");
}

void lives_are_told_apart(Test& test) {
  const S::Life earlier = spawn(10, [](void*) {});
  join(earlier);
  const S::Life later = spawn(10, [](void*) { ended_by = sched::waited(S::park()); });
  test.expect(earlier.task == later.task && earlier != later, "it is no second life");
  settle();
  S::wake(earlier);
  S::kill(earlier);
  settle();
  test.expect(state_of(later) == State::blocked, "a request for an earlier life reached it");
  S::wake(later);
  join(later);
  test.expect(ended_by == Waited::done, "the kill of an earlier life reached it");
}

void bonds_are_abandoned(Test& test) {
  struct Hook : sched::Bond {
    constexpr explicit Hook(char letter) : Bond(&tell), letter(letter) {}
    static void tell(Bond& self) { note(static_cast<Hook&>(self).letter); }
    const char letter;
  };
  static constinit Hook hooks[] = {Hook('x'), Hook('y'), Hook('z')};
  join(spawn(10, [](void*) {
    for (Hook& hook : hooks) S::bind(hook);
    S::unbind(hooks[1]);
    S::exit();
  }));
  test.expect(take_log() == "zx", "not the ones that it had, youngest first");
}

constexpr Case kCases[] = {
    {"a suspended task stands still, as often as told", suspended_tasks_stand_still},
    {"a suspended task's wait ends, and it stays", suspended_waits_end},
    {"a task is joined, with its exit value", ends_are_joined},
    {"a request for an earlier life does not reach a later", lives_are_told_apart},
    {"what a task is bound to is told of its end", bonds_are_abandoned},
};

}  // namespace

void run_life_tests() { run_cases("life", kCases); }

}  // namespace demo::selftest

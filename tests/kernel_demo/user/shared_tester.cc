// A user program that joins the shared scheduler and does one of many things (shared_acts.h).

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel_demo/user/shared.h"
#include "sched/policy/random.h"
#include "tests/kernel_demo/user/shared_acts.h"

namespace {

using sched::shared::Answer;
using sched::shared::Board;
using sched::shared::Client;
using sched::shared::Coroutine;
using sched::shared::FramePool;
using sched::shared::Frames;
using sched::shared::Handle;
using sched::shared::Result;
using user::Error;
using user::Shared;
using user::SharedExecutor;
using user_test::SharedAct;
using Kind = Answer::Kind;

constexpr int64_t code(Error error) { return static_cast<int64_t>(error); }

#define EXPECT(condition) \
  if (!(condition)) return __LINE__

constexpr uintptr_t kElsewhere = user::kShared + 0x10'0000 + BATON_SHARED_ALIGNMENT;
constexpr auto kNever = [](uint16_t) { return false; };

/// Where the parts are, from `base`.
struct Parts {
  explicit Parts(uintptr_t address) : base(address) {
    const baton_shared_header& header = Client(reinterpret_cast<void*>(base)).header();
    text = base + header.rodata_size;
    size = header.rodata_size + header.text_size;
    data = (base + size + BATON_SHARED_ALIGNMENT - 1) & ~uintptr_t{BATON_SHARED_ALIGNMENT - 1};
    board = data + header.data_size;
  }

  uintptr_t base;
  uintptr_t text;
  size_t size;  // of the file
  uintptr_t data;
  uintptr_t board;
};

volatile uint64_t& word(uintptr_t address) {
  return *reinterpret_cast<volatile uint64_t*>(address);
}
void run(uintptr_t address) { reinterpret_cast<void (*)()>(address)(); }

int64_t calls(const Shared& shared) {
  const Client& client = shared.client();
  const uint32_t capacity = client.header().capacity;
  EXPECT(capacity == 400);
  static std::array<Handle, 400> all;
  Answer answer;
  EXPECT(client.peek(kNever, answer) == Result::done);
  EXPECT(answer.kind == Kind::finished);
  // Three times around.
  for (uint64_t round = 0; round < 3; ++round) {
    for (uint64_t i = 0; i < capacity; ++i) {
      EXPECT(client.add(0, shared.space(), i, 7, all[i]) == Result::done);
    }
    Handle one_more;
    EXPECT(client.add(0, shared.space(), 0, 7, one_more) == Result::refused);
    for (uint64_t i = 0; i < capacity; ++i) {
      EXPECT(client.peek(kNever, answer) == Result::done);
      EXPECT(answer.kind == Kind::task && answer.task == i && answer.handle == all[i].word());
      EXPECT(client.claim(0, all[i]) == Result::done);
      EXPECT(client.claim(1, all[i]) == Result::refused);
      EXPECT(client.sleep(all[i]) == Result::done);
    }
    EXPECT(client.peek(kNever, answer) == Result::done);
    EXPECT(answer.kind == Kind::no_wake_task);
    EXPECT(client.wake(all[123]) == Result::done);
    EXPECT(client.peek(kNever, answer) == Result::done);
    EXPECT(answer.task == 123);
    // By what it is to us, too.
    EXPECT(client.sleep_by(123) == Result::done);
    EXPECT(client.peek(kNever, answer) == Result::done && answer.kind == Kind::no_wake_task);
    EXPECT(client.wake_by(399) == Result::done);
    EXPECT(client.peek(kNever, answer) == Result::done && answer.handle == all[399].word());
    EXPECT(client.remove_by(399) == Result::done);
    EXPECT(client.remove_by(399) == Result::refused && client.wake_by(400) == Result::refused);
    EXPECT(client.remove(all[399]) == Result::refused);
    for (const Handle handle : std::span(all).first(399)) {
      EXPECT(client.remove(handle) == Result::done);
    }
    EXPECT(client.remove(all[0]) == Result::refused);
  }
  return 0;
}

/// All of them before one succeeds.
int64_t mappings() {
  EXPECT(user::do_yield(0) == code(Error::bad_value));
  EXPECT(user::ask(1, 1) == code(Error::bad_value));
  for (const uintptr_t address :
       {uintptr_t{1}, uintptr_t{0x1000}, user::kBegin, user::kStackEnd - BATON_SHARED_ALIGNMENT,
        user::kShared + 0x1000, user::kEnd, user::kEnd - BATON_SHARED_ALIGNMENT,
        user::kEnd + BATON_SHARED_ALIGNMENT, uintptr_t{0} - BATON_SHARED_ALIGNMENT}) {
    EXPECT(user::map_shared(address) == code(Error::bad_value));
  }
  EXPECT(user::map_shared() == 1);
  EXPECT(user::map_shared() == code(Error::bad_value));
  EXPECT(user::map_shared(kElsewhere) == code(Error::bad_value));
  // Nobody answers, and nobody is there.
  EXPECT(user::ask(1, 1) == code(Error::no_room));
  return 0;
}

/// Three of four are ready.
int64_t add_tasks(const Shared& shared) {
  for (uint64_t i = 0; i < 100; ++i) {
    Handle handle;
    EXPECT(shared.client().add(0, shared.space(), i, 9, handle) == Result::done);
    if (i % 4 == 0) EXPECT(shared.client().sleep(handle) == Result::done);
  }
  return 0;
}

Coroutine turns(Frames&, SharedExecutor& executor, int& answers) {
  for (int turn = 0; turn < 50; ++turn) co_await executor.yield();
  for (int question = 0; question < 2; ++question) {
    if (user::ask(executor.current().word(), 7) != 0) continue;
    co_await executor.pending();
    ++answers;
  }
}

int64_t take_turns(Shared& shared) {
  static FramePool<4, 512> frames;
  static SharedExecutor executor(shared.client(), shared);
  int answers = 0;
  for (uint8_t i = 0; i < 4; ++i) EXPECT(executor.spawn(turns(frames, executor, answers), i / 2));
  executor.run();
  EXPECT(answers == 8);
  return 0;
}

/// Until it is killed, or whatever it calls takes it somewhere.
void scribble(const Shared& shared, uintptr_t base) {
  const Parts parts(base);
  sched::Random random(static_cast<uint64_t>(user::self()));
  const auto handle = [&] {
    return Handle(static_cast<uint32_t>(random.below(4)), static_cast<uint8_t>(random.next()),
                  static_cast<uint16_t>(random.below(512) * 32));
  };
  for (;;) {
    for (uint64_t i = random.below(64); i > 0; --i) {
      const uintptr_t at = parts.data + random.below(parts.board - parts.data);
      *reinterpret_cast<volatile unsigned char*>(at) = static_cast<unsigned char>(random.next());
    }
    // What the kernel reads is at the end.
    for (uint64_t i = random.below(16); i > 0; --i) {
      word(parts.board - 8 - random.below(400) * 8) = random.next();
    }
    Answer answer;
    Handle added;
    switch (random.below(16)) {
      case 0: shared.client().add(0, shared.space(), random.next(), 0, added); break;
      case 1: shared.client().peek([](uint16_t) { return true; }, answer); break;
      case 2: shared.client().claim(0, handle()); break;
      case 3: shared.client().remove(handle()); break;
      case 4: shared.client().wake(handle()); break;
      case 5: shared.client().sleep(handle()); break;
      case 6: user::ask(random.next(), random.next()); break;
      case 7: user::do_yield(static_cast<uint16_t>(random.below(20))); break;
      case 8: user::do_yield(static_cast<uint16_t>(random.next())); break;
      default: break;
    }
  }
}

int64_t fault(SharedAct act, uintptr_t base) {
  const Parts parts(base);
  switch (act) {
    case SharedAct::write_header: word(base) = 1; break;
    case SharedAct::write_text: word(parts.text) = 1; break;
    case SharedAct::write_board: word(parts.board) = 1; break;
    case SharedAct::run_header: run(base); break;
    case SharedAct::run_data: run(parts.data); break;
    case SharedAct::run_board: run(parts.board); break;
    case SharedAct::read_behind: return static_cast<int64_t>(word(parts.board + sizeof(Board)));
    default: break;
  }
  return -1;
}

}  // namespace

int64_t user_main(uint64_t argument) {
  const auto wanted = user_test::SharedArgument::of(argument);
  const uintptr_t base = wanted.elsewhere ? kElsewhere : user::kShared;
  switch (wanted.act) {
    case SharedAct::mappings: return mappings();
    case SharedAct::no_room:
      EXPECT(user::map_shared() == code(Error::no_room));
      EXPECT(user::map_shared() == code(Error::bad_value));
      EXPECT(user::do_yield(0) == code(Error::bad_value));
      return 0;
    default: break;
  }
  static Shared shared(base);
  EXPECT(shared.is_mapped());
  switch (wanted.act) {
    case SharedAct::calls: return calls(shared);
    case SharedAct::take_turns: return take_turns(shared);
    case SharedAct::scribble: scribble(shared, base); break;
    case SharedAct::keep_tasks:
    case SharedAct::keep_lock:
      EXPECT(add_tasks(shared) == 0);
      if (wanted.act == SharedAct::keep_lock) {
        using Partition = sched::shared::Partition<400>;
        reinterpret_cast<Partition*>(Parts(base).data)->lock = shared.space() + 1u;
      }
      [[fallthrough]];
    case SharedAct::keep_turn:
      for (;;) asm volatile("" : : : "memory");
    case SharedAct::sleep:
      for (;;) user::do_yield(sched::shared::kNobody);
    case SharedAct::sum: {
      const auto* const bytes = reinterpret_cast<const unsigned char*>(base);
      return user_test::sum_of(bytes, Parts(base).size);
    }
    default: return fault(wanted.act, base);
  }
  return -1;
}

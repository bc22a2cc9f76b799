// The pieces without a scheduler, alone, on CPUs that run nothing else: the mailbox, a task's word,
// the token of a wait, the ticket lock, the slot for attributes.

#include <atomic>
#include <cstddef>
#include <set>
#include <utility>

#include "gtest/gtest.h"
#include "sched/attribute_slot.h"
#include "sched/mailbox.h"
#include "sched/policy/ticket_lock.h"
#include "sched/wait.h"
#include "tests/explore/explore.h"

namespace sched::test {
namespace {

struct Item : Postable {
  int stored = 0;
  int taken = 0;
};

constexpr CpuNumber kOwner = 2;

// Two push, the third takes: each item comes out once, with what its pusher stored, and who found
// the mailbox empty was told so.
EXPLORE(AMailboxLosesNothing) {
  Mailbox mailbox;
  Item items[2];
  std::atomic<int> kicks = 0;
  const auto take = [&] {
    for (PostQueue queue = mailbox.take_all(); Postable* const item = queue.pop_front();) {
      EXPECT_EQ(static_cast<Item*>(item)->stored, 7);
      ++static_cast<Item*>(item)->taken;
    }
  };
  const auto push = [&](Item& item) {
    item.stored = 7;
    if (mailbox.push(item) == Mailbox::Pushed::kick) kicks.fetch_add(1, std::memory_order_relaxed);
  };
  mailbox.open();
  int early = 0;
  if (!on_each_cpu(explorer, {[&] { push(items[0]); }, [&] { push(items[1]); },
                              [&] {
                                take();
                                early = items[0].taken + items[1].taken;
                                take();
                              }})) {
    return;
  }
  const bool is_left = !mailbox.empty();
  take();
  for (const Item& item : items) EXPECT_EQ(item.taken, 1);
  // One for the two while nobody had taken the first; and always one for what is left.
  EXPECT_GE(kicks, 1);
  EXPECT_LE(kicks, 2);
  if (is_left && early != 0) EXPECT_EQ(kicks, 2);
}

// A CPU opens its mailbox while another one sends to it.
EXPLORE(AMailboxOpens) {
  Mailbox mailbox;
  Item item;
  auto pushed = Mailbox::Pushed::quiet;
  if (!on_each_cpu(explorer, {[&] { mailbox.open(); }, [&] { pushed = mailbox.push(item); }})) {
    return;
  }
  EXPECT_NE(pushed, Mailbox::Pushed::quiet);
  EXPECT_EQ(mailbox.take_all().empty(), pushed == Mailbox::Pushed::closed);
}

// Two post to one item of a third: the first pushes it, and the requests of both are taken, with
// what each had stored; also where the item is posted again while it is being handled.
EXPLORE(RequestsTravelTogetherOrOneAfterTheOther) {
  Mailbox mailbox;
  Item item;
  int stored[2] = {0, 0};
  Requests taken = request::none;
  mailbox.open();
  ASSERT_TRUE(item.change(item.ownership(), item.ownership().with_owner(kOwner)));
  const auto post = [&](size_t i, Requests requests) {
    stored[i] = 7;
    const Ownership before = item.post(requests, 0);
    EXPECT_EQ(before.owner(), kOwner);
    if (before.pending() == request::none) mailbox.push(item);
  };
  const auto drain = [&] {
    for (PostQueue queue = mailbox.take_all(); Postable* const next = queue.pop_front();) {
      const Requests requests = next->take(next->ownership().with_pending(request::none));
      EXPECT_NE(requests, request::none);
      EXPECT_EQ(taken & requests, 0);
      if (requests & request::wake) EXPECT_EQ(stored[0], 7);
      if (requests & request::kill) EXPECT_EQ(stored[1], 7);
      taken |= requests;
    }
  };
  if (!on_each_cpu(explorer, {[&] { post(0, request::wake); }, [&] { post(1, request::kill); },
                              [&] {
                                drain();
                                drain();
                              }})) {
    return;
  }
  drain();
  EXPECT_EQ(taken, request::wake | request::kill);
  EXPECT_TRUE(item.is_private_to(Postable::privately(kOwner)));
}

// A request that is there already: what its second poster stored travels with it, too.
EXPLORE(ARequestThatIsThereAlreadyIsWrittenAgain) {
  Item item;
  int stored = 0;
  // Orders nothing: it only says what has been.
  std::atomic<bool> was_posted = false;
  ASSERT_TRUE(item.change(item.ownership(), item.ownership().with_owner(kOwner)));
  on_each_cpu(explorer, {[&] { item.post(request::wake, 0); },
                         [&] {
                           stored = 7;
                           item.post(request::wake, 0);
                           was_posted.store(true, std::memory_order_relaxed);
                         },
                         [&] {
                           const bool is_posted = was_posted.load(std::memory_order_relaxed);
                           item.take(item.ownership().with_pending(request::none));
                           if (is_posted) EXPECT_EQ(stored, 7);
                         }});
}

// Two items in one mailbox, of which one is posted again while the line is gone through.
EXPLORE(ALineIsGoneThroughWhileOneOfItIsPostedAgain) {
  Mailbox mailbox;
  Item items[2];
  int wakes = 0;
  mailbox.open();
  for (Item& item : items) {
    ASSERT_TRUE(item.change(item.ownership(), item.ownership().with_owner(kOwner)));
    item.post(request::wake, 0);
    mailbox.push(item);
  }
  const auto drain = [&] {
    for (PostQueue queue = mailbox.take_all(); Postable* const next = queue.pop_front();) {
      next->take(next->ownership().with_pending(request::none));
      ++wakes;
    }
  };
  bool again = false;
  if (!on_each_cpu(explorer, {[&] {
                                for (Item& item : items) {
                                  if (item.post(request::kill, 0).pending() != request::none)
                                    continue;
                                  mailbox.push(item);
                                  again = true;
                                }
                              },
                              drain})) {
    return;
  }
  drain();
  EXPECT_GE(wakes, 2);
  EXPECT_EQ(wakes > 2, again);
  for (const Item& item : items) EXPECT_TRUE(item.is_private_to(Postable::privately(kOwner)));
}

// The owner ends a task's life while a request comes: one of the two is told.
EXPLORE(ALifeEndsAndARequestComes) {
  Item item;
  ASSERT_TRUE(item.change(item.ownership(), item.ownership().with_owner(kOwner)));
  bool retired = false;
  Ownership before;
  if (!on_each_cpu(explorer, {[&] {
                                const Ownership seen = item.ownership();
                                retired = seen.pending() == request::none &&
                                          item.change(seen, seen.after_death());
                                if (retired) item.hand_back();
                              },
                              [&] { before = item.post(request::wake, 0); }})) {
    return;
  }
  EXPECT_EQ(retired, !before.is_alive());
  EXPECT_EQ(item.ownership().pending(), retired ? request::none : request::wake);
}

// Two begin a life of the same task; what its maker stored is there for whoever finds it alive.
EXPLORE(OneOfTwoBeginsALife) {
  Item item;
  int begun = 0;
  const auto begin = [&](CpuNumber cpu) {
    const Ownership free = item.ownership();
    if (!free.is_free() || !item.change(free, free.before_birth())) return;
    item.stored = 7;
    ++begun;
    item.be_born(cpu, request::none);
  };
  if (!on_each_cpu(explorer, {[&] { begin(0); }, [&] { begin(1); },
                              [&] {
                                if (!item.ownership(std::memory_order_acquire).is_alive()) return;
                                EXPECT_EQ(item.stored, 7);
                              }})) {
    return;
  }
  EXPECT_EQ(begun, 1);
}

// A request that comes before the life does not keep it from beginning.
EXPLORE(ALifeBeginsAndARequestComesTooEarly) {
  Item item;
  Ownership before;
  bool begun = false;
  if (!on_each_cpu(explorer, {[&] {
                                const Ownership free = item.ownership();
                                begun = free.is_free() && item.change(free, free.before_birth());
                                item.be_born(kOwner, request::none);
                              },
                              [&] { before = item.post(request::wake, 0); }})) {
    return;
  }
  EXPECT_TRUE(begun);
  EXPECT_EQ(item.ownership().pending(), before.is_alive() ? request::wake : request::none);
}

// A dead task is handed back, and its next life begins.
EXPLORE(ATaskIsHandedBackAndBegunAnew) {
  Item item;
  item.stored = 0;
  ASSERT_TRUE(item.change(item.ownership(), item.ownership().after_death()));
  bool begun = false;
  if (!on_each_cpu(explorer, {[&] {
                                item.stored = 1;
                                item.hand_back();
                              },
                              [&] {
                                const Ownership free = item.ownership();
                                begun = free.is_free() && item.change(free, free.before_birth());
                                if (begun) EXPECT_EQ(std::exchange(item.stored, 2), 1);
                              }})) {
    return;
  }
  EXPECT_EQ(item.stored, begun ? 2 : 1);
}

// A server, and the waiting task that gives up: one of them ends the wait, and if it was the
// server, what it handed over is there.
EXPLORE(AWaitIsServedOrClosed) {
  internal::Wait wait;
  int handed_over = 0;
  bool served = false;
  bool closed = false;
  if (!on_each_cpu(explorer, {[&] {
                                served = wait.begin_to_serve();
                                if (!served) return;
                                handed_over = 7;
                                wait.serve(&wait);
                              },
                              [&] {
                                closed = wait.close([] {});
                                if (!closed) EXPECT_EQ(handed_over, 7);
                              }})) {
    return;
  }
  EXPECT_NE(served, closed);
}

// The same for a task that was woken for another reason, and looks.
EXPLORE(AWaitIsLookedAtWhileItIsServed) {
  internal::Wait wait;
  int handed_over = 0;
  on_each_cpu(explorer, {[&] {
                           EXPECT_TRUE(wait.begin_to_serve());
                           handed_over = 7;
                           wait.serve(&wait);
                         },
                         [&] {
                           if (wait.is_served()) EXPECT_EQ(handed_over, 7);
                         }});
}

EXPLORE(ATicketLockLetsOneIn) {
  TicketLock lock;
  int inside = 0;
  int entered = 0;
  const auto enter = [&] {
    const TicketGuard guard(lock);
    EXPECT_EQ(++inside, 1);
    ++entered;
    --inside;
  };
  if (on_each_cpu(explorer, {enter, enter, enter})) EXPECT_EQ(entered, 3);
}

EXPLORE(ATicketLockIsTriedAndTaken) {
  TicketLock lock;
  int inside = 0;
  int entered = 0;
  const auto enter = [&] {
    EXPECT_EQ(++inside, 1);
    ++entered;
    --inside;
  };
  bool was_free = false;
  const auto try_to = [&] {
    if (!lock.try_lock()) return;
    was_free = true;
    enter();
    lock.unlock();
  };
  const auto wait = [&] {
    lock.lock(&Sim::relax);
    enter();
    lock.unlock();
  };
  if (on_each_cpu(explorer, {wait, try_to, wait})) EXPECT_EQ(entered, was_free ? 3 : 2);
}

// Attributes are copied whole, the latest that were wanted.
EXPLORE(AnAttributeSlotKeepsThemWhole) {
  struct Two {
    int a = 0;
    int b = 0;
  };
  AttributeSlot<Two> slot;
  const auto store = [&](int value) { slot.store({value, value}, [] { return true; }); };
  Two seen;
  if (on_each_cpu(explorer, {[&] { store(1); }, [&] { store(2); }, [&] { seen = slot.load(); }})) {
    EXPECT_EQ(seen.a, seen.b);
    EXPECT_NE(slot.load().a, 0);
  }
}

}  // namespace
}  // namespace sched::test

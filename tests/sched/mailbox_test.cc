// The mailbox and the ownership word on real threads: what sched/mailbox.h promises, under as much
// contention as this machine has. The same source is built once more for ThreadSanitizer, which
// sees what the fields that have no atomic of their own rely on.
//
// A `Post` below is one thread that owns items, as a CPU owns tasks: it sleeps until it is kicked
// and then drains its mailbox, as sched/request_impl.h does.

#include "sched/mailbox.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/random/distributions.h"
#include "gtest/gtest.h"

namespace sched::test {
namespace {

// --- In one thread ---

struct Item : Postable {
  Item() = default;
  explicit Item(int number) : number(number) {}
  int number = 0;
};

constexpr Ownership owned_by(CpuNumber owner, uint32_t generation = 0,
                             Requests pending = request::none) {
  return Ownership(generation, owner, pending);
}

// Gives an item that nobody owns to `owner`.
void adopt(Postable& item, CpuNumber owner) {
  ASSERT_TRUE(item.change(item.ownership(), item.ownership().with_owner(owner)));
}

std::vector<int> numbers(PostQueue queue) {
  std::vector<int> numbers;
  while (!queue.empty()) numbers.push_back(static_cast<Item&>(*queue.pop_front()).number);
  EXPECT_EQ(queue.pop_front(), nullptr);
  return numbers;
}

TEST(Ownership, KeepsItsPartsApart) {
  const Ownership word = owned_by(0x1234, 3, request::kill);
  EXPECT_EQ(word.generation(), 3u);
  EXPECT_EQ(word.owner(), 0x1234);
  EXPECT_EQ(word.pending(), request::kill);
  EXPECT_EQ(word.with_owner(7), owned_by(7, 3, request::kill));
  EXPECT_EQ(word.with_pending(request::arrive | request::wake),
            owned_by(0x1234, 3, request::arrive | request::wake));
  EXPECT_EQ(Ownership(word.word()), word);
}

TEST(Ownership, BelongsToNobodyAfterDeathAndIsAnotherGeneration) {
  EXPECT_FALSE(Ownership().is_alive());
  EXPECT_TRUE(Ownership().is_free());
  EXPECT_TRUE(owned_by(0).is_alive());
  EXPECT_FALSE(owned_by(0).is_free());
  const Ownership dead = owned_by(0, 3, request::kill).after_death();
  EXPECT_FALSE(dead.is_alive());
  EXPECT_FALSE(dead.is_free());
  EXPECT_EQ(dead.generation(), 4u);
  EXPECT_EQ(dead.pending(), request::none);
  EXPECT_TRUE(dead.handed_back().is_free());
  EXPECT_EQ(dead.handed_back().generation(), 4u);
}

TEST(Ownership, BeginsAnewAfterTheLastGeneration) {
  const Ownership last(uint64_t{UINT32_MAX} << 32 | 5u << 16 | request::wake);
  EXPECT_EQ(last.after_death().handed_back(), Ownership());
}

TEST(Postable, BeginsWithoutAnOwner) {
  Item item;
  EXPECT_EQ(item.ownership(), Ownership{});
  EXPECT_EQ(item.ownership().owner(), kNoOwner);
  EXPECT_FALSE(item.is_private_to(Postable::privately(0)));
}

TEST(Postable, IsPrivateToItsOwnerWhileNothingIsPending) {
  Item item;
  adopt(item, 5);
  EXPECT_TRUE(item.is_private_to(Postable::privately(5)));
  EXPECT_FALSE(item.is_private_to(Postable::privately(4)));
  item.post(request::wake, 0);
  EXPECT_FALSE(item.is_private_to(Postable::privately(5)));
  EXPECT_EQ(item.take(owned_by(5)), request::wake);
  EXPECT_TRUE(item.is_private_to(Postable::privately(5)));
  EXPECT_TRUE(item.change(owned_by(5), owned_by(5, 77)));
  EXPECT_TRUE(item.is_private_to(Postable::privately(5)));  // in each of its lives
}

TEST(Postable, TellsTheFirstPosterToPush) {
  Item item;
  adopt(item, 1);
  EXPECT_EQ(item.post(request::wake, 0), owned_by(1));
  EXPECT_EQ(item.post(request::wake, 0), owned_by(1, 0, request::wake));
  EXPECT_EQ(item.post(request::kill, 0), owned_by(1, 0, request::wake));
  EXPECT_EQ(item.take(owned_by(1)), request::wake | request::kill);
  EXPECT_EQ(item.post(request::wake, 0), owned_by(1));
}

TEST(Postable, RefusesAnotherGenerationAndNoOwner) {
  Item item;
  EXPECT_EQ(item.post(request::wake, 0), Ownership{});
  EXPECT_EQ(item.ownership(), Ownership{});
  adopt(item, 1);
  ASSERT_TRUE(item.change(owned_by(1), owned_by(1, 1)));
  EXPECT_EQ(item.post(request::wake, 0), owned_by(1, 1));
  EXPECT_EQ(item.ownership(), owned_by(1, 1));
}

TEST(Postable, IsFreeOnlyOnceItIsHandedBack) {
  Item item;
  adopt(item, 1);
  item.take(item.ownership().after_death());
  item.post(request::wake, 1);
  EXPECT_EQ(item.ownership(), Ownership(1, kDead, request::none));
  item.hand_back();
  EXPECT_EQ(item.ownership(), Ownership(1, kNoOwner, request::none));
}

TEST(Postable, TakesNoRequestBeforeItIsBorn) {
  Postable item;
  const Ownership free = item.ownership();
  ASSERT_TRUE(item.change(free, free.before_birth()));
  EXPECT_FALSE(item.ownership().is_free());
  EXPECT_FALSE(item.ownership().is_alive());
  EXPECT_FALSE(item.post(request::wake, free.generation()).is_alive());
  item.be_born(3, request::arrive);
  EXPECT_EQ(item.ownership(), Ownership(free.generation(), 3, request::arrive));
}

TEST(Postable, ChangesOnlyFromExactlyWhatWasExpected) {
  Item item;
  adopt(item, 1);
  item.post(request::wake, 0);
  EXPECT_FALSE(item.change(owned_by(1), owned_by(2)));
  EXPECT_FALSE(item.change(owned_by(1, 1, request::wake), owned_by(2)));
  EXPECT_FALSE(item.change(owned_by(2, 0, request::wake), owned_by(2)));
  EXPECT_EQ(item.ownership(), owned_by(1, 0, request::wake));
  EXPECT_TRUE(item.change(owned_by(1, 0, request::wake), owned_by(2)));
  EXPECT_EQ(item.ownership(), owned_by(2));
}

TEST(Mailbox, TakesNothingUntilItIsOpened) {
  Mailbox mailbox;
  Item item;
  EXPECT_FALSE(mailbox.is_open());
  EXPECT_EQ(mailbox.push(item), Mailbox::Pushed::closed);
  EXPECT_FALSE(mailbox.is_open());
  mailbox.open();
  EXPECT_TRUE(mailbox.is_open());
  EXPECT_TRUE(mailbox.empty());
  EXPECT_EQ(numbers(mailbox.take_all()), std::vector<int>{});
  EXPECT_EQ(mailbox.push(item), Mailbox::Pushed::kick);
}

// Every CPU's block begins as memory of zeros.
TEST(Mailbox, IsClosedInZeroedMemory) {
  alignas(Mailbox) std::array<std::byte, sizeof(Mailbox)> zeros{};
  EXPECT_FALSE(reinterpret_cast<Mailbox*>(zeros.data())->is_open());
}

TEST(Mailbox, AsksForAKickOnlyWhenItWasEmpty) {
  Mailbox mailbox;
  mailbox.open();
  Item items[3];
  EXPECT_EQ(mailbox.push(items[0]), Mailbox::Pushed::kick);
  EXPECT_EQ(mailbox.push(items[1]), Mailbox::Pushed::quiet);
  EXPECT_FALSE(mailbox.empty());
  mailbox.take_all();
  EXPECT_TRUE(mailbox.empty());
  EXPECT_EQ(mailbox.push(items[2]), Mailbox::Pushed::kick);
}

TEST(Mailbox, GivesAllYoungestFirst) {
  Mailbox mailbox;
  mailbox.open();
  std::deque<Item> items;
  for (int i = 0; i < 5; ++i) mailbox.push(items.emplace_back(i));
  EXPECT_EQ(numbers(mailbox.take_all()), (std::vector<int>{4, 3, 2, 1, 0}));
  EXPECT_EQ(numbers(mailbox.take_all()), std::vector<int>{});
}

TEST(PostQueue, PutsTheLastPushedFirst) {
  Item items[3] = {Item(0), Item(1), Item(2)};
  PostQueue queue;
  EXPECT_TRUE(queue.empty());
  for (Item& item : items) queue.push_front(item);
  EXPECT_EQ(numbers(queue), (std::vector<int>{2, 1, 0}));
}

// An item may be posted, and be in a mailbox again, as soon as it has been taken out of the queue
// that it was drained into: the queue must not need its link any more.
TEST(PostQueue, LetsAnItemGoBeforeTheNextOneIsTaken) {
  Mailbox mailbox;
  mailbox.open();
  std::deque<Item> items;
  for (int i = 0; i < 3; ++i) mailbox.push(items.emplace_back(i));
  PostQueue queue = mailbox.take_all();
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) {
    Postable* const item = queue.pop_front();
    ASSERT_NE(item, nullptr);
    mailbox.push(*item);
    order.push_back(static_cast<Item*>(item)->number);
  }
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(order, (std::vector<int>{2, 1, 0}));
  EXPECT_EQ(numbers(mailbox.take_all()), (std::vector<int>{0, 1, 2}));
}

// --- On threads ---

// A thread with a mailbox. `handle` gets each item with the requests that were pending; it runs
// on this thread alone.
class Post {
 public:
  using Handle = std::function<void(Postable&, Requests)>;

  Post(CpuNumber number, Handle handle) : number_(number), handle_(std::move(handle)) {
    mailbox_.open();
  }
  ~Post() { finish(); }

  void start() {
    thread_ = std::thread([this] { run(); });
  }
  // Once nobody posts any more: handles what is left, and ends.
  void finish() {
    if (!thread_.joinable()) return;
    stop_.store(true, std::memory_order_release);
    kick();
    thread_.join();
    EXPECT_TRUE(mailbox_.empty());
  }

  void push(Postable& item) {
    switch (mailbox_.push(item)) {
      case Mailbox::Pushed::quiet: return;
      case Mailbox::Pushed::kick: return kick();
      case Mailbox::Pushed::watched: ADD_FAILURE() << "nobody watches it"; return;
      case Mailbox::Pushed::closed: ADD_FAILURE() << "it was opened"; return;
    }
  }

  /// How many items have been handled; everything that was done then has happened.
  uint64_t handled() const { return handled_.load(std::memory_order_acquire); }

 private:
  void kick() {
    kicked_.fetch_or(1, std::memory_order_release);
    kicked_.notify_one();
  }

  void run() {
    for (;;) {
      // Awake for a while first: what has to be found out happens within nanoseconds.
      for (int i = 0; i < 2000 && kicked_.load(std::memory_order_relaxed) == 0; ++i) continue;
      kicked_.wait(0, std::memory_order_relaxed);
      const bool last = stop_.load(std::memory_order_acquire);
      kicked_.exchange(0, std::memory_order_acquire);  // acknowledged before it drains
      PostQueue reversed = mailbox_.take_all();
      PostQueue queue;
      while (!reversed.empty()) queue.push_front(*reversed.pop_front());
      while (!queue.empty()) {
        Postable& item = *queue.pop_front();
        const Ownership seen = item.ownership();
        EXPECT_EQ(seen.owner(), number_) << "an item in the wrong hands";
        EXPECT_NE(seen.pending(), request::none) << "an item in a mailbox with nothing pending";
        handle_(item, item.take(seen.with_pending(request::none)));
        handled_.fetch_add(1, std::memory_order_release);
      }
      if (last && mailbox_.empty()) return;
    }
  }

  const CpuNumber number_;
  const Handle handle_;
  Mailbox mailbox_;
  std::atomic<uint32_t> kicked_{0};
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> handled_{0};
  std::thread thread_;
};

void run_threads(int count, const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) threads.emplace_back(body, i);
  for (std::thread& thread : threads) thread.join();
}

constexpr int kProducers = 3;

// Each producer posts its items in order, waits until all have been handled, and goes again: every
// item is handled exactly once a round, in order per producer, with what was stored before.
TEST(MailboxOnThreads, HandlesEachItemOncePerRoundInOrderPerProducer) {
  static constexpr int kItems = 64;
  static constexpr int kRounds = 200;
  struct Letter : Postable {
    int producer = 0;
    int number = 0;
    int round = 0;  // what the producer stored; no atomic
  };
  std::array<std::array<Letter, kItems>, kProducers> letters;
  struct Seen {
    int round = 1;
    int number = 0;
  };
  std::array<Seen, kProducers> seen;  // the next one expected
  std::array<std::atomic<int>, kProducers> handled{};
  for (int p = 0; p < kProducers; ++p) {
    for (int i = 0; i < kItems; ++i) {
      Letter& letter = letters[static_cast<size_t>(p)][static_cast<size_t>(i)];
      letter.producer = p;
      letter.number = i;
      adopt(letter, 0);
    }
  }
  Post post(0, [&](Postable& item, Requests requests) {
    EXPECT_EQ(requests, request::wake);
    Letter& letter = static_cast<Letter&>(item);
    const auto producer = static_cast<size_t>(letter.producer);
    EXPECT_EQ(letter.number, seen[producer].number);
    EXPECT_EQ(letter.round, seen[producer].round);
    if (++seen[producer].number == kItems) seen[producer] = {.round = seen[producer].round + 1};
    handled[producer].fetch_add(1, std::memory_order_release);
    handled[producer].notify_one();
  });
  post.start();
  run_threads(kProducers, [&](int p) {
    const auto producer = static_cast<size_t>(p);
    for (int round = 1; round <= kRounds; ++round) {
      for (Letter& letter : letters[producer]) {
        letter.round = round;
        ASSERT_EQ(letter.post(request::wake, 0), owned_by(0));
        post.push(letter);
      }
      int so_far = handled[producer].load(std::memory_order_acquire);
      while (so_far < round * kItems) {
        handled[producer].wait(so_far, std::memory_order_acquire);
        so_far = handled[producer].load(std::memory_order_acquire);
      }
      ASSERT_EQ(so_far, round * kItems);
    }
  });
  post.finish();
  EXPECT_EQ(post.handled(), uint64_t{kProducers} * kItems * kRounds);
}

// A producer posts the same item again while it is being handled. However its requests are merged,
// once everything that was pushed has been handled the owner has seen the very last of them, and
// what had been stored before it.
TEST(MailboxOnThreads, MergesRequestsAndLosesNone) {
  static constexpr uint64_t kSeed = 1;
  static constexpr int kBursts = 10'000;
  static constexpr std::array<Requests, 2> kRequests = {request::wake, request::kill};
  std::mt19937_64 gen(kSeed);
  Item item;
  adopt(item, 0);
  // By request. Relaxed: the order comes from the word alone.
  std::array<std::atomic<uint64_t>, kRequests.size()> stored{};
  std::array<std::atomic<uint64_t>, kRequests.size()> seen{};
  Post post(0, [&](Postable&, Requests requests) {
    for (size_t i = 0; i < kRequests.size(); ++i) {
      if ((requests & kRequests[i]) == 0) continue;
      seen[i].store(stored[i].load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
  });
  post.start();
  uint64_t pushed = 0;
  for (uint64_t burst = 1; burst <= kBursts; ++burst) {
    for (int left = absl::Uniform(gen, 2, 6); left > 0; --left) {
      const auto which = absl::Uniform<size_t>(gen, 0, kRequests.size());
      stored[which].store(burst * 8 + static_cast<uint64_t>(left), std::memory_order_relaxed);
      if (item.post(kRequests[which], 0).pending() == request::none) {
        ++pushed;
        post.push(item);
      }
      for (int pause = absl::Uniform(gen, 0, 100); pause > 0; --pause) {
        std::atomic_signal_fence(std::memory_order_seq_cst);
      }
    }
    while (post.handled() < pushed) std::this_thread::yield();
    ASSERT_EQ(post.handled(), pushed);
    for (size_t i = 0; i < kRequests.size(); ++i) {
      ASSERT_EQ(seen[i].load(), stored[i].load()) << "burst " << burst << ", request " << i;
    }
  }
  post.finish();
}

// Several post the same items: each is pushed by one of them, and handled as often as pushed.
TEST(MailboxOnThreads, LetsOnePosterPush) {
  static constexpr size_t kItems = 3;
  static constexpr uint64_t kPosts = 20'000;
  std::array<Item, kItems> items;
  for (Item& item : items) adopt(item, 0);
  std::atomic<uint64_t> pushed{0};
  Post post(0, [&](Postable&, Requests requests) { EXPECT_EQ(requests, request::wake); });
  post.start();
  run_threads(kProducers, [&](int) {
    for (uint64_t i = 0; i < kPosts; ++i) {
      if (items[i % kItems].post(request::wake, 0).pending() != request::none) continue;
      pushed.fetch_add(1, std::memory_order_relaxed);
      post.push(items[i % kItems]);
    }
  });
  post.finish();
  EXPECT_EQ(post.handled(), pushed.load());
  for (const Item& item : items) EXPECT_EQ(item.ownership(), owned_by(0));
}

// The owner ends lives and begins new ones while others post to the generation they know. Each post
// is handled within its own life or counted as stale; a retired item is in no mailbox.
TEST(MailboxOnThreads, NeverDeliversToAnotherLife) {
  static constexpr uint32_t kLives = 2000;
  struct Mortal : Postable {
    uint32_t life = 0;                   // the owner's own; no atomic
    std::atomic<uint32_t> announced{0};  // the generation that posters know of
  };
  Mortal mortal;
  adopt(mortal, 0);
  std::atomic<uint64_t> accepted{0};
  std::atomic<bool> over{false};

  Post post(0, [&](Postable&, Requests) {
    const Ownership seen = mortal.ownership();
    ASSERT_EQ(seen.owner(), 0);
    if (over.load(std::memory_order_relaxed)) return;
    // Fails if somebody has posted again: then the next drain will try.
    const Ownership nobody = seen.after_death();
    if (!mortal.change(seen.with_pending(request::none), nobody)) return;
    if (++mortal.life == kLives) over.store(true, std::memory_order_release);
    ASSERT_TRUE(mortal.change(nobody, nobody.with_owner(0)));
    mortal.announced.store(nobody.generation(), std::memory_order_release);
  });
  post.start();
  run_threads(2, [&](int) {
    while (!over.load(std::memory_order_acquire)) {
      const uint32_t generation = mortal.announced.load(std::memory_order_acquire);
      const Ownership before = mortal.post(request::wake, generation);
      if (before.generation() == generation && before.is_alive() &&
          before.pending() == request::none) {
        accepted.fetch_add(1, std::memory_order_relaxed);
        post.push(mortal);
      }
      std::this_thread::yield();
    }
  });
  post.finish();
  EXPECT_EQ(mortal.life, kLives);
  EXPECT_EQ(post.handled(), accepted.load());
  EXPECT_EQ(mortal.ownership(), owned_by(0, kLives));
}

// Items that move between owners while others post to them: an item's own fields are touched by
// one thread at a time, requests reach whoever owns it by then, and none is lost.
TEST(MailboxOnThreads, FollowsAnItemThatMoves) {
  static constexpr CpuNumber kOwners = 3;
  static constexpr int kItems = 4;
  static constexpr uint64_t kMoves = 20'000;
  struct Traveller : Postable {
    uint64_t moves = 0;  // the owner's own; no atomic
    uint64_t wakes = 0;
  };
  std::array<Traveller, kItems> items;
  std::deque<Post> posts;
  std::array<std::atomic<uint64_t>, kOwners> pushed{};
  std::atomic<uint64_t> moves{0};

  const auto push = [&](CpuNumber to, Postable& item) {
    pushed[to].fetch_add(1, std::memory_order_relaxed);
    posts[to].push(item);
  };
  for (CpuNumber me = 0; me < kOwners; ++me) {
    posts.emplace_back(me, [&, me](Postable& item, Requests requests) {
      Traveller& traveller = static_cast<Traveller&>(item);
      if (requests & request::arrive) {
        ++traveller.moves;
        moves.fetch_add(1, std::memory_order_relaxed);
      }
      if (requests & request::wake) ++traveller.wakes;
      if (moves.load(std::memory_order_relaxed) >= kMoves) return;
      const auto to = static_cast<CpuNumber>((me + 1 + traveller.moves % 2) % kOwners);
      // Somebody may have posted meanwhile: then it stays until that has been handled.
      if (traveller.change(owned_by(me), owned_by(to, 0, request::arrive))) push(to, traveller);
    });
  }
  for (Traveller& traveller : items) adopt(traveller, 0);
  for (Post& post : posts) post.start();
  run_threads(2, [&](int) {
    // Each item at least once, however late this thread begins.
    for (size_t i = 0; i < kItems || moves.load(std::memory_order_relaxed) < kMoves; ++i) {
      Traveller& traveller = items[i % kItems];
      const Ownership before = traveller.post(request::wake, 0);
      ASSERT_NE(before.owner(), kNoOwner);
      if (before.pending() == request::none) push(before.owner(), traveller);
      std::this_thread::yield();
    }
  });
  // A move that is under way ends where it was going to.
  for (Traveller& traveller : items) {
    while (traveller.ownership(std::memory_order_acquire).pending() != request::none) {
      std::this_thread::yield();
    }
  }
  for (CpuNumber me = 0; me < kOwners; ++me) {
    posts[me].finish();
    EXPECT_EQ(posts[me].handled(), pushed[me].load());
  }
  uint64_t moved = 0;
  for (const Traveller& traveller : items) {
    moved += traveller.moves;
    EXPECT_GT(traveller.wakes, 0u);
    EXPECT_EQ(traveller.ownership().pending(), request::none);
  }
  EXPECT_EQ(moved, moves.load());
}

}  // namespace
}  // namespace sched::test

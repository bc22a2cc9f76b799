// The timer queue against an ordered map.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/random/distributions.h"
#include "gtest/gtest.h"
#include "hal/time.h"
#include "sched/time/timer_queue.h"
#include "tests/sched/time/timer_kit.h"

namespace sched::test {
namespace {

// A queue beside a map that is in its order.
class Model {
 public:
  Model(uint64_t seed, int count, Instant start)
      : gen_(seed), timers_(some(count)), keys_(static_cast<size_t>(count)), now_(start) {}

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
      SCOPED_TRACE("step " + std::to_string(i));
      switch (absl::Uniform(gen_, 0, 8)) {
        case 0:
        case 1:
        case 2: arm(); break;
        case 3: cancel(); break;
        case 4: advance(); break;
        case 5:
          for (int left = absl::Uniform(gen_, 0, 9); left > 0; --left) expire();
          break;
        case 6:
          while (expire()) {
          }
          break;
        case 7:
          // Sometimes everything, in some order.
          if (absl::Bernoulli(gen_, 0.02)) {
            for (size_t j = 0; j < timers_.size(); ++j) cancel(timers_[j]);
          }
          break;
      }
      check();
    }
  }

 private:
  // The instant that counts, and how many had been armed before.
  using Key = std::pair<Instant, uint64_t>;

  size_t index(const Timer& timer) { return static_cast<size_t>(number(&timer)); }
  Numbered& any() { return timers_[absl::Uniform<size_t>(gen_, 0, timers_.size())]; }
  uint64_t any_length() { return gen_() >> absl::Uniform(gen_, 1, 64); }

  Instant any_instant() {
    switch (absl::Uniform(gen_, 0, 12)) {
      case 0: return at(absl::Uniform(absl::IntervalClosed, gen_, uint64_t{0}, now_.ticks));
      case 1: return queue_.reached();
      case 2: return now_;
      case 3: return any().when();
      case 4: return at(UINT64_MAX - absl::Uniform<uint64_t>(gen_, 0, 4));
      case 5:
      case 6: return now_ + ticks(absl::Uniform<uint64_t>(gen_, 0, 40));
      case 7:
      case 8: return coalesced(now_, ticks(any_length()));
      default: return now_ + ticks(any_length());
    }
  }

  void arm() {
    Numbered& timer = any();
    forget(timer);
    const Instant when = any_instant();
    const Key key{std::max(when, queue_.reached()), armed_++};
    keys_[index(timer)] = key;
    order_.emplace(key, timer.number);
    queue_.arm(timer, when);
    ASSERT_EQ(timer.when(), when);
  }

  bool forget(const Timer& timer) { return order_.erase(keys_[index(timer)]) != 0; }

  void cancel() { cancel(any()); }
  void cancel(Numbered& timer) {
    const bool in_time = forget(timer);
    keys_[index(timer)] = Key{};
    ASSERT_EQ(queue_.cancel(timer), in_time);
  }

  void advance() {
    switch (absl::Uniform(gen_, 0, 6)) {
      case 0: now_ = at(now_.ticks - std::min(now_.ticks, any_length())); break;
      case 1: now_ = now_ + ticks(any_length()); break;
      default: now_ = std::max(now_, queue_.next());
    }
    now_ = std::min(now_, kLast);
    latest_ = std::max(latest_, now_);
  }

  // Whether there is more.
  bool expire() {
    const TimerQueue::Step step = queue_.expire(now_);
    // A clock that goes back interrupts the work.
    is_open_ = step.more || (is_open_ && queue_.reached() > now_);
    if (!step.more) {
      EXPECT_EQ(step.due, nullptr);
      EXPECT_GT(queue_.next(), now_);
    }
    if (step.due != nullptr) check_due(*step.due);
    return step.more && !testing::Test::HasFatalFailure();
  }

  void check_due(Timer& timer) {
    ASSERT_FALSE(order_.empty());
    const auto [key, first] = *order_.begin();
    ASSERT_EQ(number(&timer), first);
    ASSERT_LE(key.first, now_);
    ASSERT_EQ(queue_.reached(), key.first);
    forget(timer);
    keys_[index(timer)] = Key{};
  }

  void check() {
    for (Numbered& timer : timers_) {
      ASSERT_EQ(timer.armed(), keys_[index(timer)] != Key{}) << timer.number;
    }
    const Instant earliest = order_.empty() ? never : std::min(order_.begin()->first.first, never);
    const Instant next = queue_.next();
    ASSERT_LE(queue_.reached(), latest_);
    if (!order_.empty()) {
      ASSERT_LE(queue_.reached(), earliest);
    }
    ASSERT_LE(next, earliest);
    if (next == queue_.reached() && is_open_) return;  // some of a slot are still to be moved
    // With so few, all of a slot are looked at whenever its earliest is cancelled.
    if (timers_.size() <= TimerQueue::kLooks + 1) {
      ASSERT_EQ(next, earliest);
    }
  }

  std::mt19937_64 gen_;
  TimerQueue queue_;
  std::deque<Numbered> timers_;
  std::vector<Key> keys_;
  absl::btree_map<Key, int> order_;
  uint64_t armed_ = 1;
  Instant now_;
  Instant latest_ = now_;
  bool is_open_ = false;  // perhaps: `expire` has more to do
};

TEST(TimerQueue, MatchesAnOrderedMap) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    for (const int count : {3, TimerQueue::kLooks + 1, 100}) {
      SCOPED_TRACE(std::to_string(count) + " timers");
      for (const Instant start : {at(0), at(1'000'000'000), at(never.ticks - 0x100000)}) {
        SCOPED_TRACE("from " + std::to_string(start.ticks));
        Model(seed, count, start).run(1000);
        if (HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace sched::test

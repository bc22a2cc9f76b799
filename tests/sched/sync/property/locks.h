// Everything that has an owner, as the property test takes and gives it back: one shape for the
// mutexes and for both sides of a lock of readers and writers.

#ifndef BATON_TESTS_SCHED_SYNC_PROPERTY_LOCKS_H_
#define BATON_TESTS_SCHED_SYNC_PROPERTY_LOCKS_H_

#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sched/sync/mutex.h"
#include "sched/sync/rw_lock.h"
#include "sched/task.h"
#include "tests/sched/sync/property/queues.h"

// What is taken in one function is given back in another.
#pragma clang diagnostic ignored "-Wthread-safety-analysis"

namespace sched::test {

// What can be had and be given back, and what the model knows of it.
template <typename S>
struct Lock {
  using Task = typename S::Task;

  virtual ~Lock() = default;
  virtual bool try_lock() = 0;
  virtual void lock() = 0;
  virtual Locked acquire_until(Instant until) = 0;
  virtual void unlock() = 0;
  virtual bool abandoned() const = 0;

  /// The queues of those who wait for it.
  virtual std::vector<QueueOf<S>> queues() const = 0;
  /// Whether it is to be had at once.
  virtual bool is_free() const = 0;
  /// Whether `task` has it, or comes next.
  virtual bool is_of(const Task& task) const = 0;
  /// Whom `waiter`, if it waits for it, waits for.
  virtual const Task* before(const Task& waiter) const = 0;

  // What has happened: somebody has got it, has given it back, or has ended with it.
  virtual void enter() = 0;
  virtual void leave() = 0;
  virtual void die() = 0;
  /// Whether whoever gets it is to be told of somebody who has ended with it.
  virtual bool died() const = 0;

  std::string name;
  std::optional<typename S::Claim> ceiling;
  bool recursive = false;
  bool hands_over = true;  // with the unlock, to the first who waits
  Lock* other = nullptr;   // the other side of it
};

template <typename S, typename T>
struct LockOf : Lock<S> {
  using Task = typename S::Task;

  template <typename... Args>
  explicit LockOf(Args... args) : mutex(args...) {}
  bool try_lock() override { return mutex.try_lock(); }
  void lock() override { mutex.lock(); }
  Locked acquire_until(Instant until) override {
    return until == never ? mutex.acquire() : mutex.acquire_until(until);
  }
  void unlock() override { mutex.unlock(); }
  bool abandoned() const override { return mutex.abandoned(); }
  std::vector<QueueOf<S>> queues() const override { return {queue_of<S>(mutex)}; }
  bool is_free() const override { return mutex.owner() == nullptr; }
  bool is_of(const Task& task) const override { return mutex.owner() == &task; }
  const Task* before(const Task&) const override { return mutex.owner(); }
  void enter() override { EXPECT_EQ(++inside, 1) << this->name; }
  void leave() override {
    EXPECT_EQ(--inside, 0) << this->name;
    has_died = false;
  }
  void die() override {
    leave();
    has_died = true;
  }
  bool died() const override { return has_died; }

  T mutex;
  int inside = 0;
  bool has_died = false;
};

// The two sides of one lock.
template <typename S>
struct ReadersAndWriters {
  using Task = typename S::Task;

  bool is_read() const { return first() != nullptr; }
  bool is_read_by(const Task& task) const {
    for (int i = 0; i < kReaders; ++i) {
      if (lock.reader(i) == &task) return true;
    }
    return false;
  }
  const Task* first() const {
    for (int i = 0; i < kReaders; ++i) {
      if (lock.reader(i) != nullptr) return lock.reader(i);
    }
    return nullptr;
  }
  const Task* before(const Task& waiter) const {
    return lock.next() == nullptr || lock.next() == &waiter ? first() : lock.next();
  }

  std::vector<QueueOf<S>> queues() const {
    std::vector<QueueOf<S>> queues = {queue_of<S>(gate_of<S>(lock))};
    for (int i = 0; i < kReaders; ++i) queues.push_back(queue_of<S>(place_of<S>(lock, i)));
    return queues;
  }

  RwLock<S, kReaders> lock;
  int readers = 0;
  int writers = 0;
  bool has_died = false;
};

// What its two sides are alike in.
template <typename S>
struct Side : Lock<S> {
  using Task = typename S::Task;

  explicit Side(ReadersAndWriters<S>& both) : both(both) {}
  bool abandoned() const override { return both.lock.abandoned(); }
  std::vector<QueueOf<S>> queues() const override { return both.queues(); }
  const Task* before(const Task& waiter) const override { return both.before(waiter); }
  bool died() const override { return both.has_died; }

  ReadersAndWriters<S>& both;
};

template <typename S>
struct WriteSide : Side<S> {
  using Task = typename S::Task;
  using Side<S>::Side;
  using Side<S>::both;

  bool try_lock() override { return both.lock.try_lock(); }
  void lock() override { both.lock.lock(); }
  Locked acquire_until(Instant until) override {
    return until == never ? both.lock.acquire() : both.lock.acquire_until(until);
  }
  void unlock() override { both.lock.unlock(); }
  bool is_free() const override { return both.lock.next() == nullptr && !both.is_read(); }
  bool is_of(const Task& task) const override { return both.lock.next() == &task; }
  void enter() override {
    EXPECT_EQ(++both.writers, 1);
    EXPECT_EQ(both.readers, 0);
  }
  void leave() override {
    EXPECT_EQ(--both.writers, 0);
    both.has_died = false;
  }
  void die() override {
    leave();
    both.has_died = true;
  }
};

template <typename S>
struct ReadSide : Side<S> {
  using Task = typename S::Task;
  using Side<S>::Side;
  using Side<S>::both;

  bool try_lock() override { return both.lock.try_lock_shared(); }
  void lock() override { both.lock.lock_shared(); }
  Locked acquire_until(Instant until) override {
    return until == never ? both.lock.acquire_shared() : both.lock.acquire_shared_until(until);
  }
  void unlock() override { both.lock.unlock_shared(); }
  bool is_free() const override {
    bool has_place = false;
    for (int i = 0; i < kReaders; ++i) has_place |= both.lock.reader(i) == nullptr;
    return both.lock.next() == nullptr && has_place;
  }
  bool is_of(const Task& task) const override { return both.is_read_by(task); }
  void enter() override {
    EXPECT_LE(++both.readers, kReaders);
    EXPECT_EQ(both.writers, 0);
  }
  void leave() override { EXPECT_GE(--both.readers, 0); }
  void die() override { leave(); }
};

}  // namespace sched::test

#endif  // BATON_TESTS_SCHED_SYNC_PROPERTY_LOCKS_H_

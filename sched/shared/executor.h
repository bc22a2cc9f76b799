// Runs coroutines as the tasks of one space of a shared scheduler: in a program, or in the kernel.
//
//     Coroutine blink(Frames& frames, Executor& executor) {
//       for (;;) {
//         toggle();
//         co_await executor.yield();
//       }
//     }
//
//     constinit FramePool<8, 512> frames;                // eight coroutines at most, no heap
//     Executor executor(scheduler, environment);
//     executor.spawn(blink(frames, executor), 3);
//     executor.run();                                    // until all have ended
//
// A coroutine that is polled runs until it awaits: `pending()` puts it to sleep until somebody
// wakes its handle, `yield()` behind all others of its priority. What the pool says of a task it
// says of a place in this executor's own table, and is checked there: memory that others write
// leads nowhere.

#ifndef BATON_SCHED_SHARED_EXECUTOR_H_
#define BATON_SCHED_SHARED_EXECUTOR_H_

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "sched/shared/scheduler.h"

namespace sched::shared {

/// Where the frames of coroutines live: blocks of one size, by one executor at a time.
class Frames {
 public:
  Frames(const Frames&) = delete;
  Frames& operator=(const Frames&) = delete;

  void* take(size_t size) {
    Block* const block = free_;
    if (block == nullptr || size > size_) return nullptr;
    free_ = block->next;
    block->owner = this;
    return block + 1;
  }
  /// Gives a frame back to where it was taken from.
  static void give(void* frame) {
    Block* const block = static_cast<Block*>(frame) - 1;
    Frames& owner = *block->owner;
    block->next = owner.free_;
    owner.free_ = block;
  }

 protected:
  // Before each frame, whose alignment it keeps.
  struct alignas(16) Block {
    Frames* owner = nullptr;
    Block* next = nullptr;
  };

  explicit Frames(size_t size) : size_(size) {}
  void add(void* memory) { give(new (memory) Block{.owner = this} + 1); }

 private:
  Block* free_ = nullptr;
  size_t size_;  // of a frame
};

/// `kCount` frames of `kSize` bytes each, a multiple of 16.
template <size_t kCount, size_t kSize>
class FramePool : public Frames {
  static_assert(kSize % 16 == 0);

 public:
  FramePool() : Frames(kSize) {
    for (auto& place : places_) add(place);
  }

 private:
  alignas(16) std::byte places_[kCount][sizeof(Block) + kSize];
};

/// What a coroutine that is a task returns. Its first parameter is `Frames&`: where its frame is
/// taken from. Empty if there was no room. Whoever has it destroys it; `Executor::spawn` takes it.
class Coroutine {
 public:
  struct promise_type {
    static Coroutine get_return_object_on_allocation_failure() { return Coroutine(nullptr); }
    Coroutine get_return_object() {
      return Coroutine(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}

    template <typename... Rest>
    static void* operator new(size_t size, Frames& frames, Rest&&...) noexcept {
      return frames.take(size);
    }
    static void operator delete(void* frame) { Frames::give(frame); }
  };
  using Handle = std::coroutine_handle<promise_type>;

  Coroutine(Coroutine&& other) : handle_(std::exchange(other.handle_, nullptr)) {}
  Coroutine& operator=(Coroutine&&) = delete;
  ~Coroutine() {
    if (handle_) handle_.destroy();
  }

  explicit operator bool() const { return bool{handle_}; }
  Handle release() { return std::exchange(handle_, nullptr); }

 private:
  explicit Coroutine(Handle handle) : handle_(handle) {}

  Handle handle_;
};

/// What an executor needs of its surroundings.
template <typename E>
concept ExecutorEnvironment =
    // space(), hart(): where this is.
    // yield_to(space): lets that space run, or with `kNobody` whichever has something to do;
    // returns when this one is to go on. False: there is no such space. busy(): somebody else is in
    // the partition. Returns soon.
    requires(E& environment, uint16_t space) {
      { environment.space() } -> std::same_as<uint16_t>;
      { environment.hart() } -> std::same_as<uint16_t>;
      { environment.yield_to(space) } -> std::same_as<bool>;
      { environment.busy() } -> std::same_as<void>;
    };

inline constexpr uint16_t kNobody = UINT16_MAX;

/// See the head of this file. `S` is a `Scheduler` or a `Client`. By one hart.
template <typename S, ExecutorEnvironment Environment, size_t kTasks>
class Executor {
 public:
  Executor(S scheduler, Environment& environment)
      : scheduler_(scheduler), environment_(environment) {}
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  /// Makes a coroutine a task, ready. No handle: the table or the pool is full, or the coroutine is
  /// none; then it has been destroyed.
  Handle spawn(Coroutine coroutine, uint8_t priority) {
    size_t place = 0;
    while (place < kTasks && tasks_[place].frame) ++place;
    if (!coroutine || place == kTasks) return {};
    Task& task = tasks_[place];
    const Result result = patiently([&] {
      return scheduler_.add(environment_.hart(), environment_.space(), place, priority,
                            task.handle);
    });
    if (result == Result::refused) return {};
    task.frame = coroutine.release();
    ++live_;
    return task.handle;
  }

  /// The task goes on: where it runs, once more. From a coroutine, or before `run`.
  void wake(Handle handle) {
    patiently([&] { return scheduler_.wake(handle); });
  }

  /// The task that is polled. From its coroutine.
  Handle current() const { return current_; }

  /// For a coroutine, to await: sleeps until it is woken. What has woken it since it was last
  /// polled counts.
  auto pending() {
    struct Pending : std::suspend_always {
      void await_suspend(std::coroutine_handle<>) const { sleeps = true; }
      bool& sleeps;
    };
    return Pending{.sleeps = sleeps_};
  }
  /// The same: lets others run.
  std::suspend_always yield() { return {}; }

  /// Runs this executor's tasks, and lets other spaces run whose tasks come first, until all of its
  /// own have ended; then true. False: the pool says that it has no task at all, though coroutines
  /// of this executor are left, as only somebody who has written to its memory can bring about.
  /// They stay as they are, and keep their frames, until `abandon`; `run` may be called again.
  bool run() {
    Handle previous;
    uint16_t gone = kNobody;  // a space that there was not, for the next look
    for (;;) {
      if constexpr (requires { scheduler_.exchange(previous); }) {
        if (previous) previous = take_turns(previous);
      }
      if (live_ == 0) return true;
      Answer answer;
      const Result result = patiently([&] {
        return scheduler_.next(
            environment_.hart(), previous, !std::exchange(sleeps_, false),
            [gone](uint16_t space) { return space != gone; }, answer);
      });
      previous = {};
      gone = kNobody;
      if (result == Result::refused) continue;
      switch (answer.kind) {
        case Answer::Kind::task: previous = poll(answer.task, Handle(answer.handle)); break;
        case Answer::Kind::should_yield:
          if (!environment_.yield_to(static_cast<uint16_t>(answer.space))) {
            gone = static_cast<uint16_t>(answer.space);
          }
          break;
        case Answer::Kind::no_wake_task: environment_.yield_to(kNobody); break;
        case Answer::Kind::finished: return false;
      }
    }
  }

  /// Destroys the coroutines that are left, and gives their frames back. Not from one of them. The
  /// pool is told; whatever it says, no handle of theirs means anything to this executor any more.
  void abandon() {
    for (Task& task : tasks_) {
      if (!task.frame) continue;
      patiently([&] { return scheduler_.remove(task.handle); });
      std::exchange(task, {}).frame.destroy();
      --live_;
    }
  }

  /// How many coroutines are left.
  size_t live() const { return live_; }

 private:
  struct Task {
    Coroutine::Handle frame = nullptr;
    Handle handle;
  };

  template <typename Call>
  Result patiently(Call call) {
    for (;;) {
      const Result result = call();
      if (result != Result::busy) return result;
      environment_.busy();
    }
  }

  /// From one turn to the next, for as long as that is simple. Whoever has had the last one; nobody
  /// if it has ended.
  [[gnu::noinline]] Handle take_turns(Handle previous) {
    const S scheduler = scheduler_;
    while (previous && !sleeps_) {
      const auto turn = scheduler.exchange(previous);
      if (!turn.handle) break;
      previous = poll(turn.task, turn.handle);
    }
    return previous;
  }

  /// Runs a task that has been claimed; whose turn is over then: nobody's if it has ended.
  [[gnu::always_inline]] Handle poll(uint64_t place, Handle handle) {
    // Whatever else there is this executor has never put there.
    const bool is_ours = handle && place < kTasks && tasks_[place].handle == handle;
    if (is_ours) [[likely]] {
      current_ = handle;
      const Coroutine::Handle frame = tasks_[place].frame;
      frame.resume();
      if (!frame.done()) [[likely]]
        return handle;
    }
    end(place, handle, is_ours);
    return {};
  }

  [[gnu::noinline]] void end(uint64_t place, Handle handle, bool is_ours) {
    current_ = {};
    patiently([&] { return scheduler_.remove(handle); });
    if (!is_ours) return;
    const Coroutine::Handle frame = std::exchange(tasks_[place], {}).frame;
    --live_;
    frame.destroy();
  }

  S scheduler_;
  Environment& environment_;
  Handle current_;
  size_t live_ = 0;
  bool sleeps_ = false;  // whoever was polled waits to be woken
  std::array<Task, kTasks> tasks_{};
};

}  // namespace sched::shared

#endif  // BATON_SCHED_SHARED_EXECUTOR_H_

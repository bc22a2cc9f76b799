// What the policies cost on this very CPU, from 10 to 1,000,000 tasks, beside the containers that a
// scheduler could be made of instead, which do the same job in the same run.
//
// The job is the hold model of the literature on event queues (D. W. Jones, "An Empirical
// Comparison of Priority-Queue and Event-Set Implementations", CACM 1986): take the first, give it
// a new key, insert it again. A task's key grows by the same amount every time, its period, and
// these are uniformly distributed from n to 3n turns among n tasks; in the policies that order by a
// key, the attributes are so chosen that theirs do likewise. Tasks lie in memory in an order that
// has nothing to do with their keys'. Per operation:
//
//     pick+put back    pick; the task has run for its turn (`ran`); put_back(timed_out)
//     enqueue, dequeue of any task at random, the others staying; in batches, each timed alone,
//                      with the tasks of the batch in the cache, which holds for both alike
//     wake             enqueue(woken); contend with whoever is current; dequeue(blocked)
//
// A container does what of this it can: it has no turns, budgets or shares to account for.
//
// bazel run -c opt //bench:policies [-- --quick]

#include <algorithm>
#include <array>
#include <bit>
#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <map>
#include <memory>
#include <numeric>
#include <queue>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "benchmark/benchmark.h"
#include "sched/policy/edf.h"
#include "sched/policy/eevdf.h"
#include "sched/policy/fifo.h"
#include "sched/policy/fixed_priority.h"
#include "sched/policy/lottery.h"
#include "sched/policy/mlfq.h"
#include "sched/policy/policy.h"
#include "sched/policy/round_robin.h"
#include "sched/policy/stride.h"
#include "sched/policy/vtime.h"
#include "sched/policy/weight.h"

namespace {

using sched::Duration;
using sched::Enter;
using sched::Instant;
using sched::Leave;
using sched::Links;
using sched::Pause;

constexpr uint64_t kTurn = 1000;  // ticks

// Ends the program: what is measured must also be right.
void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "policies: %s\n", what);
  std::abort();
}
void require(Links links) { require(links == Links::intact, "a link is broken"); }

// How far apart in time the turns of task `i` of `n` are.
uint64_t random_period(std::mt19937_64& gen, size_t n) {
  return std::uniform_int_distribution<uint64_t>(n * kTurn, 3 * n * kTurn)(gen);
}

// ---- The policies

template <typename P>
struct AttributesOf;

// How a turn ends there.
template <typename P>
constexpr Pause kEndOfTurn = Pause::timed_out;
template <>
constexpr Pause kEndOfTurn<sched::Fifo> = Pause::yielded;  // of itself it never does

// The weight whose clock reaches the end of a turn once in a random period: 341 to 1024.
sched::Weight random_weight(std::mt19937_64& gen, size_t n) {
  return static_cast<sched::Weight>(kTurn * n * sched::kNormalWeight / random_period(gen, n));
}

template <>
struct AttributesOf<sched::Fifo> {
  static sched::Fifo::Attributes get(std::mt19937_64&, size_t) { return {}; }
};
template <>
struct AttributesOf<sched::RoundRobin> {
  static sched::RoundRobin::Attributes get(std::mt19937_64&, size_t) {
    return {.slice = Duration{kTurn}};
  }
};
template <>
struct AttributesOf<sched::FixedPriority> {
  static sched::FixedPriority::Attributes get(std::mt19937_64& gen, size_t) {
    return {.priority = static_cast<uint16_t>(gen() % 256)};
  }
};
template <>
struct AttributesOf<sched::Mlfq> {
  static sched::Mlfq::Attributes get(std::mt19937_64&, size_t) { return {}; }
};
template <>
struct AttributesOf<sched::Stride> {
  static sched::Stride::Attributes get(std::mt19937_64& gen, size_t n) {
    return {.tickets = random_weight(gen, n)};
  }
};
template <>
struct AttributesOf<sched::Lottery> {
  static sched::Lottery::Attributes get(std::mt19937_64& gen, size_t n) {
    return {.tickets = random_weight(gen, n)};
  }
};
template <>
struct AttributesOf<sched::Vtime> {
  static sched::Vtime::Attributes get(std::mt19937_64& gen, size_t n) {
    return {.weight = random_weight(gen, n)};
  }
};
template <>
struct AttributesOf<sched::Eevdf> {
  static sched::Eevdf::Attributes get(std::mt19937_64& gen, size_t n) {
    return {.weight = random_weight(gen, n), .slice = Duration{kTurn}};
  }
};
template <>
struct AttributesOf<sched::Edf> {
  static sched::Edf::Attributes get(std::mt19937_64& gen, size_t n) {
    return {.runtime = Duration{kTurn},
            .deadline = {},
            .period = Duration{random_period(gen, n)},
            .overrun = sched::Overrun::postpone};
  }
};

// n tasks under one policy, and one queue's worth of time.
template <typename P>
class UnderPolicy : sched::Mechanism {
 public:
  static constexpr bool kRemovesAny = true;

  explicit UnderPolicy(size_t n, uint64_t seed) : entities_(new typename P::Entity[n]) {
    std::mt19937_64 gen(seed);
    for (size_t i = 0; i < n; ++i) {
      require(policy_.attach(detached(entities_[i]), AttributesOf<P>::get(gen, n)),
              "a task is refused");
      require(policy_.enqueue(entities_[i], Enter::created, now_));
    }
  }

  void pick_and_put_back() {
    auto& current = *policy_.pick(now_).entity;
    turn(current);
    require(policy_.put_back(current, kEndOfTurn<P>, now_));
  }
  void insert(size_t i) { require(policy_.enqueue(entities_[i], Enter::woken, now_)); }
  void remove(size_t i) { require(policy_.dequeue(entities_[i], Leave::blocked, now_)); }

  // Somebody is current, but not `i`.
  void begin_wakes() { current_ = policy_.pick(now_).entity; }
  bool may_wake(size_t i) const { return &entities_[i] != current_; }
  void wake(size_t i) {
    insert(i);
    if constexpr (sched::Contends<P>) {
      benchmark::DoNotOptimize(policy_.contend(entities_[i], *current_, now_));
    }
    remove(i);
  }
  void end_wakes() { require(policy_.put_back(*current_, Pause::preempted, now_)); }

 private:
  void turn(typename P::Entity& current) {
    const Instant since = now_;
    now_ = now_ + Duration{kTurn};
    if constexpr (sched::Charges<P>) policy_.ran(current, since, now_);
  }

  P policy_;
  Instant now_{1'000'000};
  std::unique_ptr<typename P::Entity[]> entities_;
  typename P::Entity* current_ = nullptr;
};

// ---- What they are compared with

// Containers of tasks that are ordered by a key that grows.
template <typename Queue>
class ByKey {
 public:
  static constexpr bool kRemovesAny = Queue::kRemovesAny;

  explicit ByKey(size_t n, uint64_t seed) : tasks_(new typename Queue::Task[n]) {
    std::mt19937_64 gen(seed);
    for (size_t i = 0; i < n; ++i) {
      tasks_[i].period = random_period(gen, n);
      tasks_[i].key = tasks_[i].period;
      queue_.insert(tasks_[i]);
    }
  }

  void pick_and_put_back() { queue_.postpone_first(); }
  void insert(size_t i) { queue_.insert(tasks_[i]); }
  void remove(size_t i) { queue_.remove(tasks_[i]); }
  void begin_wakes() { current_ = &queue_.first(); }
  bool may_wake(size_t i) const { return &tasks_[i] != current_; }
  void wake(size_t i) {
    insert(i);
    benchmark::DoNotOptimize(tasks_[i].key < current_->key);
    remove(i);
  }
  void end_wakes() {}

 private:
  Queue queue_;
  std::unique_ptr<typename Queue::Task[]> tasks_;
  typename Queue::Task* current_ = nullptr;
};

namespace intrusive = boost::intrusive;

class RbTree {
 public:
  static constexpr bool kRemovesAny = true;
  struct Task : intrusive::set_base_hook<intrusive::link_mode<intrusive::normal_link>> {
    uint64_t key;
    uint64_t period;
  };

  void insert(Task& task) { tree_.insert(task); }
  void remove(Task& task) { tree_.erase(tree_.iterator_to(task)); }
  Task& first() { return *tree_.begin(); }
  void postpone_first() {
    Task& task = first();
    tree_.erase(tree_.begin());
    task.key += task.period;
    tree_.insert(task);
  }

 private:
  struct Less {
    bool operator()(const Task& a, const Task& b) const { return a.key < b.key; }
  };
  intrusive::multiset<Task, intrusive::compare<Less>, intrusive::constant_time_size<false>> tree_;
};

class MultiMap {
 public:
  static constexpr bool kRemovesAny = true;
  struct Task {
    uint64_t key;
    uint64_t period;
    std::multimap<uint64_t, Task*>::iterator place;
  };

  void insert(Task& task) { task.place = map_.emplace(task.key, &task); }
  void remove(Task& task) { map_.erase(task.place); }
  Task& first() { return *map_.begin()->second; }
  void postpone_first() {
    auto node = map_.extract(map_.begin());
    Task& task = *node.mapped();
    node.key() = task.key += task.period;
    task.place = map_.insert(std::move(node));
  }

 private:
  std::multimap<uint64_t, Task*> map_;
};

class PriorityQueue {
 public:
  static constexpr bool kRemovesAny = false;
  struct Task {
    uint64_t key;
    uint64_t period;
  };

  void insert(Task& task) { queue_.emplace(task.key, &task); }
  Task& first() { return *queue_.top().second; }
  void remove(Task&) {}
  void postpone_first() {
    Task& task = first();
    queue_.pop();
    task.key += task.period;
    insert(task);
  }

 private:
  using Entry = std::pair<uint64_t, Task*>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
};

class List {
 public:
  static constexpr bool kRemovesAny = true;
  struct Task : intrusive::list_base_hook<intrusive::link_mode<intrusive::normal_link>> {
    uint64_t key;
    uint64_t period;
  };

  void insert(Task& task) { list_.push_back(task); }
  void remove(Task& task) { list_.erase(list_.iterator_to(task)); }
  Task& first() { return list_.front(); }
  void postpone_first() {
    benchmark::DoNotOptimize(&list_.front());
    list_.shift_backwards();
  }

 private:
  intrusive::list<Task, intrusive::constant_time_size<false>> list_;
};

// 64 levels, each an intrusive list, and a word that says which of them hold somebody: what many
// small kernels have.
class Bitmap64 {
 public:
  static constexpr bool kRemovesAny = true;
  struct Task : intrusive::list_base_hook<intrusive::link_mode<intrusive::normal_link>> {
    uint64_t key;
    uint64_t period;
  };

  void insert(Task& task) {
    levels_[level(task)].push_back(task);
    occupied_ |= uint64_t{1} << level(task);
  }
  void remove(Task& task) {
    LevelList& list = levels_[level(task)];
    list.erase(list.iterator_to(task));
    if (list.empty()) occupied_ &= ~(uint64_t{1} << level(task));
  }
  Task& first() { return levels_[static_cast<size_t>(63 - std::countl_zero(occupied_))].front(); }
  void postpone_first() {
    Task& task = first();
    benchmark::DoNotOptimize(&task);
    remove(task);
    insert(task);
  }

 private:
  using LevelList = intrusive::list<Task, intrusive::constant_time_size<false>>;
  static size_t level(const Task& task) { return task.period % 64; }
  uint64_t occupied_ = 0;
  std::array<LevelList, 64> levels_;
};

// ---- Measuring

constexpr std::array<const char*, 4> kOperations = {"pick+put back", "enqueue", "dequeue", "wake"};

// Nanoseconds that this thread has run: what others do on this computer meanwhile is not in it, but
// for what they leave of the caches. Two calls cost `clock_cost()`.
double nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}
double clock_cost() {
  static const double cost = [] {
    double least = 1e9;
    for (int i = 0; i < 10'000; ++i) {
      const double start = nanoseconds();
      least = std::min(least, nanoseconds() - start);
    }
    return least;
  }();
  return cost;
}

bool is_quick = false;

// One repetition: builds the queues and measures every operation on them. Small queues come in
// numbers, so that what is timed in one go is much longer than reading the clock.
template <typename Queue>
void measure(benchmark::State& state) {
  const size_t n = static_cast<size_t>(state.range(0));
  const size_t copies = n < 1000 ? 10'000 / (10 * n) : 1;
  const size_t turns = is_quick ? 1000 : std::max<size_t>(200'000, n / 2);
  const size_t batch = std::min<size_t>(n / 2, 1000);
  const size_t batches = is_quick ? 1 : std::max<size_t>(1, 20'000 / (batch * copies));
  std::array<double, kOperations.size()> elapsed{};

  std::vector<std::unique_ptr<Queue>> queues;
  for (size_t i = 0; i < copies; ++i) queues.push_back(std::make_unique<Queue>(n, i + 1));
  std::mt19937_64 gen(1);
  for (auto _ : state) {
    Queue& queue = *queues.front();
    for (size_t i = 0; i < turns / 4; ++i) queue.pick_and_put_back();
    elapsed[0] = 1e9;
    for (int go = 0; go < 10; ++go) {
      const double start = nanoseconds();
      for (size_t i = 0; i < turns / 10; ++i) queue.pick_and_put_back();
      const double each = (nanoseconds() - start - clock_cost()) / static_cast<double>(turns / 10);
      elapsed[0] = std::min(elapsed[0], each);
    }

    std::vector<std::pair<Queue*, size_t>> victims;
    const auto choose = [&] {
      victims.clear();
      for (auto& each : queues) {
        std::vector<size_t> chosen;
        while (chosen.size() < batch) {
          const size_t i = gen() % n;
          if (!each->may_wake(i)) continue;
          if (n <= 1000 && std::find(chosen.begin(), chosen.end(), i) != chosen.end()) continue;
          chosen.push_back(i);
        }
        std::sort(chosen.begin(), chosen.end());
        chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
        for (const size_t i : chosen) victims.emplace_back(each.get(), i);
      }
      std::shuffle(victims.begin(), victims.end(), gen);
    };
    if constexpr (!Queue::kRemovesAny) continue;
    double operations = 0;
    for (auto& each : queues) each->begin_wakes();
    for (size_t b = 0; b < batches; ++b) {
      choose();
      operations += static_cast<double>(victims.size());
      // Once without looking at the clock; and never in the order in which they went.
      const auto all = [&](void (Queue::*operation)(size_t)) {
        std::shuffle(victims.begin(), victims.end(), gen);
        const double start = nanoseconds();
        for (const auto& [where, i] : victims) (where->*operation)(i);
        return nanoseconds() - start - clock_cost();
      };
      all(&Queue::remove);
      all(&Queue::insert);
      elapsed[2] += all(&Queue::remove);
      elapsed[1] += all(&Queue::insert);
      all(&Queue::remove);
      elapsed[3] += all(&Queue::wake);
      all(&Queue::insert);
    }
    for (auto& each : queues) each->end_wakes();
    for (size_t i = 1; i < elapsed.size(); ++i) elapsed[i] /= operations;
  }
  for (size_t i = 0; i < elapsed.size(); ++i) {
    if (elapsed[i] > 0) state.counters[kOperations[i]] = elapsed[i];
  }
}

constexpr std::array<int64_t, 6> kSizes = {10, 100, 1000, 10'000, 100'000, 1'000'000};

struct Subject {
  std::string name;
  void (*measure)(benchmark::State&);
  size_t bytes;
};

template <typename P>
Subject policy(const char* name) {
  return {name, &measure<UnderPolicy<P>>, sizeof(typename P::Entity)};
}
template <typename Queue>
Subject other(const char* name, size_t bytes) {
  return {name, &measure<ByKey<Queue>>, bytes};
}

constexpr ptrdiff_t kPolicies = 9;  // of the subjects, which come first

const std::vector<Subject>& subjects() {
  static const std::vector<Subject> subjects = {
      policy<sched::Fifo>("fifo"),
      policy<sched::RoundRobin>("round_robin"),
      policy<sched::FixedPriority>("fixed_priority"),
      policy<sched::Mlfq>("mlfq"),
      policy<sched::Stride>("stride"),
      policy<sched::Lottery>("lottery"),
      policy<sched::Vtime>("vtime"),
      policy<sched::Eevdf>("eevdf"),
      policy<sched::Edf>("edf"),
      other<List>("intrusive list", sizeof(List::Task)),
      other<Bitmap64>("64-level bitmap", sizeof(Bitmap64::Task)),
      other<RbTree>("boost rbtree", sizeof(RbTree::Task)),
      // A node of the usual library: colour, three pointers, key and value; and the task.
      other<MultiMap>("std::multimap", 6 * sizeof(void*) + sizeof(MultiMap::Task)),
      other<PriorityQueue>("std::priority_queue",
                           2 * sizeof(uint64_t) + sizeof(PriorityQueue::Task)),
  };
  return subjects;
}

// Prints, instead of every repetition, a table for each operation, and how the aims are met. Each
// figure is the least of all repetitions: the one that others on this computer have disturbed
// least.
class Tables : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type != Run::RT_Iteration) continue;
      for (const auto& [operation, counter] : run.counters) {
        auto [entry, is_new] = times_.try_emplace(
            {operation, run.run_name.function_name, run.run_name.args}, counter.value);
        if (!is_new) entry->second = std::min(entry->second, counter.value);
      }
    }
  }

  void Finalize() override {
    for (const char* operation : kOperations) {
      heading(operation);
      for (const Subject& subject : subjects()) {
        std::printf("%-32s", subject.name.c_str());
        for (const int64_t n : kSizes) print(" %9.1f", time(operation, subject.name, n));
        std::printf("\n");
      }
    }
    std::printf("\n%-32s\n", "bytes of memory a task");
    for (const Subject& subject : subjects()) {
      std::printf("%-32s %9zu\n", subject.name.c_str(), subject.bytes);
    }
    std::printf("\nNanoseconds an operation. The bytes are of the policy's part of a task.\n");
    std::printf("\nRatios: pick+put back to that of another; dequeue to enqueue of the same.");
    heading("");
    ratio("round_robin", "pick+put back", "intrusive list", "pick+put back", 1.0);
    ratio("fixed_priority", "pick+put back", "64-level bitmap", "pick+put back", 1.0);
    ratio("edf", "pick+put back", "boost rbtree", "pick+put back", 0.7);
    ratio("eevdf", "pick+put back", "boost rbtree", "pick+put back", 0.7);
    for (const Subject& subject : subjects()) {
      if (&subject - subjects().data() >= kPolicies) break;
      ratio(subject.name, "dequeue", subject.name, "enqueue", 1.0);
    }
  }

 private:
  using Key = std::array<std::string, 3>;

  static void heading(const char* what) {
    std::printf("\n%-32s", what);
    for (const int64_t n : kSizes) std::printf(" %9lld", static_cast<long long>(n));
    std::printf("\n");
  }
  static void print(const char* format, double value) {
    if (value > 0) {
      std::printf(format, value);
    } else {
      std::printf(" %9s", "-");
    }
  }

  double time(const std::string& operation, const std::string& subject, int64_t n) const {
    const auto found = times_.find({operation, subject, std::to_string(n)});
    return found == times_.end() ? 0 : found->second;
  }

  void ratio(const std::string& subject, const std::string& operation, const std::string& base,
             const std::string& base_operation, double aim) const {
    const bool is_same = subject == base;
    std::printf("%-32s", (is_same ? subject + ", " + operation : subject + " / " + base).c_str());
    bool is_met = true;
    bool is_complete = true;
    for (const int64_t n : kSizes) {
      const double below = time(base_operation, base, n);
      const double value = below > 0 ? time(operation, subject, n) / below : 0;
      print(" %9.2f", value);
      is_met = is_met && value <= aim;
      is_complete = is_complete && value > 0;
    }
    std::printf("   aim <= %.1f: %s\n", aim,
                !is_complete ? "not measured"
                : is_met     ? "met"
                             : "MISSED");
  }

  std::map<Key, double> times_;
};

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) != "--quick") continue;
    is_quick = true;
    std::rotate(argv + i, argv + i + 1, argv + argc);
    --argc;
  }
  std::vector<char*> arguments(argv, argv + argc);
  // One after the other would compare different moments of a computer that has other things to do.
  std::string interleave = "--benchmark_enable_random_interleaving=true";
  arguments.insert(arguments.begin() + 1, interleave.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;
  for (const Subject& subject : subjects()) {
    for (const int64_t n : kSizes) {
      benchmark::RegisterBenchmark(subject.name.c_str(), subject.measure)
          ->Arg(n)
          ->Iterations(1)
          ->Repetitions(is_quick ? 1 : 5);
    }
  }
  Tables tables;
  benchmark::RunSpecifiedBenchmarks(&tables);
  return 0;
}

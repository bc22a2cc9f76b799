// Machines that are right, and machines in which exactly one thing is wrong, for tests of what
// `hal::Machine` refuses. One table; everything else is made from it.

#ifndef BATON_TESTS_HAL_MACHINE_SHAPES_H_
#define BATON_TESTS_HAL_MACHINE_SHAPES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "hal/hal.h"

namespace machine_shapes {

using hal::CpuNumber;
using hal::Entry;
using hal::Instant;
using Stack = std::span<std::byte>;

struct Block : hal::LocalBase {};
struct Saved {};
enum class State { masked, unmasked };
struct Root {
  friend bool operator==(Root, Root) = default;
};
struct Unit {};

// What a machine is made of: a name, the right member, and two with the same name that are wrong
// (for a function, by what it answers and by what it takes).
#define BATON_MACHINE_TYPES(X)                                                          \
  X(Local, using Local = Block, using Local = Saved, using Local = int)                 \
  X(Context, using Context = Saved, using Context = Saved&, using Context = void)       \
  X(Irq, using Irq = State, using Irq = void, using Irq = State[2])                     \
  X(kUnmasked, static constexpr State kUnmasked = State::unmasked,                      \
    static constexpr bool kUnmasked = true, static constexpr void* kUnmasked = nullptr) \
  X(kContextBytes, static constexpr size_t kContextBytes = 64,                          \
    static constexpr void* kContextBytes = nullptr, static constexpr Saved kContextBytes = {})
#define BATON_MACHINE_FUNCTIONS(X)                                                                \
  X(start_cpu, static void start_cpu(Block&, CpuNumber), static int start_cpu(Block&, CpuNumber), \
    static void start_cpu(Block*, CpuNumber))                                                     \
  X(local, static Block* local(), static hal::LocalBase* local(), static Block* local(CpuNumber)) \
  X(now, static Instant now(), static uint64_t now(), static Instant now(CpuNumber))              \
  X(ticks_per_second, static uint64_t ticks_per_second(), static int ticks_per_second(),          \
    static uint64_t ticks_per_second(CpuNumber))                                                  \
  X(arm, static void arm(Instant), static bool arm(Instant), static void arm(uint64_t))           \
  X(mask, static State mask(), static void mask(), static State mask(State))                      \
  X(unmask, static void unmask(State), static State unmask(State), static void unmask())          \
  X(make_context, static Saved make_context(Stack, Entry, void*),                                 \
    static void* make_context(Stack, Entry, void*), static Saved make_context(Stack, Entry))      \
  X(switch_to, template <size_t> static void switch_to(void*, void*),                             \
    template <size_t> static bool switch_to(void*, void*), static void switch_to(void*, void*))   \
  X(wait, static void wait(), static bool wait(), static void wait(Instant))                      \
  X(kick, static void kick(CpuNumber), static int kick(CpuNumber), static void kick(Block*))      \
  X(panic, static void panic(const char*, const char*),                                           \
    static int panic(const char*, const char*), static void panic(const char*))
#define BATON_MACHINE_SPACES(X)                                                                  \
  X(Space, using Space = Root, using Space = Saved, using Space = void)                          \
  X(Fpu, using Fpu = Unit, using Fpu = Unit&, using Fpu = void)                                  \
  X(load_space, static void load_space(Root), static bool load_space(Root),                      \
    static void load_space(Root*))                                                               \
  X(swap_fpu, static void swap_fpu(Unit*, const Unit*), static int swap_fpu(Unit*, const Unit*), \
    static void swap_fpu(Unit*, Unit*))
#define BATON_MACHINE_PARTS(X) \
  BATON_MACHINE_TYPES(X)       \
  BATON_MACHINE_FUNCTIONS(X)   \
  BATON_MACHINE_SPACES(X)

// A part in each of its shapes.
#define BATON_PART(name, right, wrong_answer, wrong_argument) \
  struct part_##name {                                        \
    struct Right {                                            \
      right;                                                  \
    };                                                        \
    struct Lacking {};                                        \
    struct WrongAnswer {                                      \
      wrong_answer;                                           \
    };                                                        \
    struct WrongArgument {                                    \
      wrong_argument;                                         \
    };                                                        \
  };
BATON_MACHINE_PARTS(BATON_PART)
#undef BATON_PART

// All parts right, but for `Part`, which has the shape `Shape`.
template <typename Part, typename Shape, typename... Parts>
struct Assembled
    : std::conditional_t<std::is_same_v<Part, Parts>, Shape, typename Parts::Right>... {};

struct Nothing {};
#define BATON_PART(name, right, wrong_answer, wrong_argument) , part_##name
template <typename Part, typename Shape>
using With = Assembled<Part, Shape BATON_MACHINE_PARTS(BATON_PART)>;
#undef BATON_PART
using Right = With<Nothing, Nothing>;

}  // namespace machine_shapes

#endif  // BATON_TESTS_HAL_MACHINE_SHAPES_H_

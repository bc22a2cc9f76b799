// What kernel and user programs agree on: the system calls, their answers, and where things lie.
// docs/user_mode.md
//
// A call's arguments and answer are 64-bit words. An answer below zero is an `Error`. A call that
// fails has done nothing.

#ifndef BATON_KERNEL_DEMO_USER_ABI_H_
#define BATON_KERNEL_DEMO_USER_ABI_H_

#include <cstddef>
#include <cstdint>

namespace user {

enum class Call : uint64_t {
  print,       ///< (text, size): writes at most `kLongestText` bytes; how many
  yield,       ///< (): lets others run
  sleep,       ///< (nanoseconds): at most `kLongestSleep`
  exit,        ///< (status): does not return
  spawn,       ///< (name, size, argument): a process of the program with this name, with the
               ///< caller's attributes; its id
  wait,        ///< (id): for the end of a process that this one has spawned; how it ended, once
  time,        ///< (): nanoseconds since some instant
  self,        ///< (): the own id
  wait_word,   ///< (address, value, nanoseconds): while the 32-bit word there is `value`, until
               ///< woken; 0 nanoseconds: for as long as it takes. 0, or `kTimedOut`
  wake_word,   ///< (address, count): the first `count` who wait for this word; how many
  attributes,  ///< (number): the one number that a person can set of a task under the kernel's
               ///< policy (priority, weight, reserved percent of the CPU, ...)
  map_shared,  ///< (address): the image of the shared scheduler, once; 0: where the kernel likes
               ///< best. Waits for the first turn; the number of this space in the pool
  do_yield,    ///< (space): lets that space run, or whichever comes first where that one does not
               ///< wait; sleeps where none has anything to do. Until it is this one's turn again
  ask,         ///< (handle, number): the kernel does something with the number, and then wakes
               ///< the task with this handle. At once
};
inline constexpr uint64_t kCalls = 14;

enum class Error : int64_t {
  unknown_call = -1,
  bad_address = -2,    ///< what an argument points to is not all the caller's memory
  bad_value = -3,      ///< out of range, or misaligned
  no_program = -4,     ///< of this name, or no shared scheduler
  no_process = -5,     ///< no child of the caller's has this id
  no_room = -6,        ///< for another process, space or question
  refused = -7,        ///< by the policy
  not_supported = -8,  ///< the policy has nothing that can be set
};

inline constexpr int64_t kTimedOut = 1;
inline constexpr size_t kLongestText = 256;
inline constexpr size_t kLongestName = 15;
inline constexpr uint64_t kLongestSleep = 3'600'000'000'000;

/// How a process ended, as `wait` answers: a status below this, or one of these.
inline constexpr int64_t kStatuses = int64_t{1} << 32;
inline constexpr int64_t kEndedByFault = kStatuses;
inline constexpr int64_t kKilled = kStatuses + 1;

/// User memory: a program begins at the low end, its stack ends below `kStackEnd`, and the page
/// below the stack is not there.
inline constexpr uintptr_t kBegin = 0x40'0000;
inline constexpr uintptr_t kStackEnd = 0x60'0000;
inline constexpr size_t kStackSize = 0x4000;
inline constexpr uintptr_t kStackBegin = kStackEnd - kStackSize;
inline constexpr uintptr_t kProgramEnd = kStackBegin - 0x1000;
inline constexpr uintptr_t kEnd = 0x100'0000;

/// Where the shared scheduler's image lies if nobody says otherwise.
inline constexpr uintptr_t kShared = 0x80'0000;

}  // namespace user

#endif  // BATON_KERNEL_DEMO_USER_ABI_H_

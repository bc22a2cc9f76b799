// A user program that holds a pattern of its own in every register, never yields, and finds out
// whether anything that interrupts it leaves a trace: it looks at all registers after every few
// thousand instructions, and around every system call.

#include "kernel_demo/user/pattern.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_demo/kit/format.h"
#include "kernel_demo/user/system.h"
#include "kernel_demo/user_pattern.h"

namespace {

using user::PatternArgument;
using user::Registers;

template <typename... Values>
void say(kit::Format<std::type_identity_t<Values>...> format, const Values&... values) {
  std::array<char, 160> buffer;
  user::print(kit::format(buffer, format, values...));
}

constinit Registers in;
constinit Registers out;

/// What is not as it was; says so.
bool is_intact(const PatternArgument& argument, bool answered) {
  for (size_t i = 0; i < Registers::kGeneral; ++i) {
    if (!Registers::is_held(i) || (answered && i == Registers::kAnswer)) continue;
    if (out.general[i] == in.general[i]) continue;
    say("pattern {:#x}: register {} held {:#x}, has {:#x}\n", argument.first, i, in.general[i],
        out.general[i]);
    return false;
  }
  if (((in.flags ^ out.flags) & Registers::kFlags) != 0) {
    say("pattern {:#x}: the flags were {:#x}, are {:#x}\n", argument.first, in.flags, out.flags);
    return false;
  }
  if (out.sp_after != out.sp_before) {
    say("pattern {:#x}: the stack pointer was {:#x}, is {:#x}\n", argument.first, out.sp_before,
        out.sp_after);
    return false;
  }
  for (size_t i = 0; argument.with_fpu && i < Registers::kFpuWords; ++i) {
    if (in.fpu[i] == out.fpu[i]) continue;
    say("pattern {:#x}: word {} of the FPU was {:#x}, is {:#x}\n", argument.first, i, in.fpu[i],
        out.fpu[i]);
    return false;
  }
  return true;
}

void fill(const PatternArgument& argument, uint64_t count) {
  for (size_t i = 0; i < Registers::kGeneral; ++i) in.general[i] = argument.first + 2 * i;
  // Each of them set and clear in turn, and never as the other process has them at the same count.
  in.flags = (argument.first + count) % 2 == 0 ? Registers::kFlags : count & Registers::kFlags;
  if (argument.with_fpu) in.fill_fpu(argument.first + count % 16);
}

bool hold(const PatternArgument& argument, uint64_t count) {
  fill(argument, count);
  (argument.with_fpu ? user_hold_with_fpu : user_hold)(&in, &out);
  return is_intact(argument, false);
}

/// The same around a system call; what it answered.
bool hold_in_call(const PatternArgument& argument, uint64_t count, user::Call call, uint64_t first,
                  uint64_t second, int64_t expected) {
  fill(argument, count);
  in.general[Registers::kNumber] = static_cast<uint64_t>(call);
  in.general[Registers::kFirst] = first;
  in.general[Registers::kSecond] = second;
  (argument.with_fpu ? user_hold_in_call_with_fpu : user_hold_in_call)(&in, &out);
  const auto answer = static_cast<int64_t>(out.general[Registers::kAnswer]);
  if (answer != expected) {
    say("pattern {:#x}: a call answered {}, not {}\n", argument.first, answer, expected);
    return false;
  }
  return is_intact(argument, true);
}

bool print_in_pattern(const PatternArgument& argument, uint64_t count) {
  std::array<char, 96> buffer;
  const std::string_view text = kit::format(buffer, "  pattern {:#x}: sp {:#x}, {} times\n",
                                            argument.first, out.sp_after, count);
  const std::string_view shown = argument.quiet ? std::string_view() : text;
  return hold_in_call(argument, count, user::Call::print, user::word_of(shown.data()), shown.size(),
                      static_cast<int64_t>(shown.size()));
}

}  // namespace

int64_t user_main(uint64_t word) {
  const PatternArgument argument = PatternArgument::of(word);
  const int64_t self = user::self();
  const int64_t end = user::time() + int64_t{argument.milliseconds} * 1'000'000;
  uint64_t count = 0;
  for (uint64_t next = 1; user::time() < end;) {
    if (!hold(argument, ++count)) return 1;
    if (!hold_in_call(argument, count, user::Call::self, 0, 0, self)) return 2;
    if (count < next) continue;
    if (!print_in_pattern(argument, count)) return 3;
    next *= 4;
  }
  return 0;
}

// The bare switch between two host stacks: where it begins, what it keeps, what it leaves alone.

#include "hal/stack/stack_switch.h"

#include <cfenv>
#include <cstddef>
#include <cstdint>

#include "gtest/gtest.h"

namespace hal::stack {
namespace {

alignas(16) std::byte stack[64 * 1024];
void* here;
void* there;

// What the other side found.
uintptr_t frame;
int rounding;
int rounds;

void answer() {
  frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  for (;;) {
    ++rounds;
    rounding = std::fegetround();
    // Values that no compiler can know, in as many registers as there are.
    volatile double source = rounds;
    double a = source + 1, b = source + 2, c = source + 3, d = source + 4;
    double e = source + 5, f = source + 6, g = source + 7, h = source + 8;
    switch_stack(&there, here);
    EXPECT_EQ(a + b + c + d + e + f + g + h, 8 * source + 36);
  }
}

TEST(StackSwitch, BeginsAtTheTopOfTheStackAsTheAbiWantsIt) {
  there = prepare_stack(stack, &answer);
  switch_stack(&here, there);
  EXPECT_GT(frame, reinterpret_cast<uintptr_t>(stack + sizeof(stack) - 256));
  EXPECT_LE(frame, reinterpret_cast<uintptr_t>(stack + sizeof(stack)));
  EXPECT_EQ(frame % 16, 0u);
}

TEST(StackSwitch, TakesAnOddSizeFromItsAlignedPart) {
  there = prepare_stack(std::span(stack).first(sizeof(stack) - 8), &answer);
  switch_stack(&here, there);
  EXPECT_EQ(frame % 16, 0u);
}

TEST(StackSwitch, KeepsWhatACallPreserves) {
  rounds = 0;
  there = prepare_stack(stack, &answer);
  volatile uint64_t seed = 12345;
  uint64_t a = seed + 1, b = seed + 2, c = seed + 3, d = seed + 4, e = seed + 5, f = seed + 6;
  volatile double source = 0.5;
  double v = source + 1, w = source + 2, x = source + 3, y = source + 4;
  for (int i = 1; i <= 100; ++i) {
    switch_stack(&here, there);
    EXPECT_EQ(rounds, i);
    EXPECT_EQ(a + b + c + d + e + f, 6 * seed + 21);
    EXPECT_EQ(v + w + x + y, 12.0);
  }
}

TEST(StackSwitch, LeavesTheFloatingPointModesAlone) {
  const int before = std::fegetround();
  std::fesetround(FE_UPWARD);
  there = prepare_stack(stack, &answer);
  switch_stack(&here, there);
  EXPECT_EQ(rounding, FE_UPWARD);
  EXPECT_EQ(std::fegetround(), FE_UPWARD);
  std::fesetround(before);
  switch_stack(&here, there);
  EXPECT_EQ(rounding, before);
}

}  // namespace
}  // namespace hal::stack

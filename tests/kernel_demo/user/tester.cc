// A user program that does one of many things (acts.h), and looks at what comes of it.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel_demo/kit/format.h"
#include "kernel_demo/user/system.h"
#include "kernel_demo/user_pattern.h"
#include "tests/kernel_demo/user/acts.h"
#include "tests/kernel_demo/user/trouble.h"

namespace {

using user::Call;
using user::Error;
using user_test::Act;

constexpr int64_t code(Error error) { return static_cast<int64_t>(error); }

#define EXPECT(condition) \
  if (!(condition)) return __LINE__

volatile uint64_t data_word = 1;
const volatile uint64_t rodata_word = 1;
constinit std::atomic<uint32_t> futex = 5;

uint64_t address_of(const volatile void* object) { return reinterpret_cast<uint64_t>(object); }

void poke(uint64_t address) { *reinterpret_cast<volatile uint64_t*>(address) = 1; }
uint64_t peek(uint64_t address) { return *reinterpret_cast<volatile uint64_t*>(address); }
void run(uint64_t address) { reinterpret_cast<void (*)()>(address)(); }

[[clang::noinline]] uint64_t dig(uint64_t depth) {
  volatile uint64_t ballast[16];
  ballast[depth % 16] = depth;
  asm volatile("" : "+r"(depth));
  const uint64_t below = depth == 0 ? 0 : dig(depth + 1);
  return below + ballast[depth % 16];
}

int64_t first_entry() {
  EXPECT(user::first_registers_or == 0);
  return 0;
}

int64_t calls() {
  const int64_t self = user::self();
  EXPECT(self > 0);
  EXPECT(user::print("") == 0);
  EXPECT(user::print("a line from a process\n") == 22);
  user::yield();
  const int64_t before = user::time();
  EXPECT(before > 0);
  EXPECT(user::sleep(2'000'000) == 0);
  EXPECT(user::time() >= before + 2'000'000);
  EXPECT(user::sleep(user::kLongestSleep + 1) == code(Error::bad_value));
  EXPECT(user::call(uint64_t{user::kCalls}) == code(Error::unknown_call));
  EXPECT(user::call(UINT64_MAX) == code(Error::unknown_call));
  EXPECT(user::call(uint64_t{1} << 32) == code(Error::unknown_call));
  EXPECT(user::set_attributes(0) == code(Error::bad_value));
  EXPECT(user::set_attributes(5) == 0);
  EXPECT(user::map_shared() == code(Error::no_program));
  EXPECT(user::do_yield(0) == code(Error::bad_value));
  EXPECT(user::ask(1, 1) == code(Error::bad_value));
  // More than one text's length: the kernel takes that much.
  std::array<char, user::kLongestText + 50> text;
  text.fill('.');
  text[user::kLongestText - 1] = '\n';
  EXPECT(user::print({text.data(), text.size()}) == user::kLongestText);
  EXPECT(user::self() == self);
  return 0;
}

int64_t bad_pointers() {
  const auto print = [](uint64_t text, uint64_t size) {
    return user::call(Call::print, text, size);
  };
  const int64_t bad = code(Error::bad_address);
  for (const uint64_t address : user_test::kKernelAddresses) EXPECT(print(address, 1) == bad);
  EXPECT(print(0, 1) == bad);
  EXPECT(print(8, 8) == bad);
  EXPECT(print(UINT64_MAX, 1) == bad);
  EXPECT(print(UINT64_MAX - 7, 64) == bad);
  EXPECT(print(uint64_t{1} << 63, 1) == bad);
  EXPECT(print(uint64_t{1} << 38, 1) == bad);
  EXPECT(print(user::kBegin - 1, 1) == bad);
  EXPECT(print(user::kBegin - 1, 2) == bad);
  EXPECT(print(user::kEnd - 1, 1) == bad);
  EXPECT(print(user::kStackBegin - 1, 1) == bad);
  EXPECT(print(user::kStackEnd, 1) == bad);
  // Its first byte is ours, its last is not: nothing of it is printed.
  EXPECT(print(user::kStackEnd - 1, 2) == bad);
  EXPECT(print(user::kStackEnd - 16, user::kLongestText) == bad);
  // Nothing is read of nothing.
  EXPECT(print(0, 0) == 0);

  EXPECT(user::call(Call::spawn, 0, 6) == bad);
  EXPECT(user::call(Call::spawn, user::kStackEnd - 3, 6) == bad);
  EXPECT(user::call(Call::spawn, address_of("tester"), 16) == code(Error::bad_value));
  EXPECT(user::call(Call::spawn, address_of("tester"), UINT64_MAX) == code(Error::bad_value));
  EXPECT(user::spawn("nothing") == code(Error::no_program));
  EXPECT(user::spawn("") == code(Error::no_program));
  EXPECT(user::spawn("teste") == code(Error::no_program));

  const auto word = [](uint64_t address) { return user::call(Call::wait_word, address, 0, 1); };
  EXPECT(word(0) == bad);
  EXPECT(word(user_test::kKernelAddresses[0] & ~uint64_t{3}) == bad);
  EXPECT(word(user::kStackEnd) == bad);
  EXPECT(word(address_of(&futex) + 1) == code(Error::bad_value));
  EXPECT(user::call(Call::wake_word, 4, 1) == bad);
  EXPECT(user::call(Call::wake_word, address_of(&futex) + 2, 1) == code(Error::bad_value));
  return 0;
}

/// Any call with any arguments: the kernel lives, and what it answers is in its contract.
int64_t fuzz() {
  uint64_t state = 0x2545'f491'4f6c'dd1d;
  const auto random = [&state] {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545'f491'4f6c'dd1d;
  };
  const uint64_t edges[] = {0,
                            1,
                            user::kBegin,
                            user::kProgramEnd,
                            user::kStackBegin,
                            user::kStackEnd,
                            user::kEnd,
                            UINT64_MAX,
                            uint64_t{1} << 31,
                            uint64_t{1} << 32,
                            uint64_t{1} << 38,
                            uint64_t{1} << 47,
                            uint64_t{1} << 63,
                            address_of(&data_word),
                            address_of(&rodata_word),
                            address_of(&futex),
                            user_test::kKernelAddresses[0],
                            user_test::kKernelAddresses[1]};
  const auto argument = [&]() -> uint64_t {
    switch (random() % 4) {
      case 0: return random();
      case 1: return random() % 64;
      default: return edges[random() % std::size(edges)] + random() % 17 - 8;
    }
  };
  uint64_t answered = 0, refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    const uint64_t number = random() % 8 == 0 ? argument() : random() % user::kCalls;
    uint64_t first = argument(), second = argument(), third = argument();
    switch (static_cast<Call>(number)) {
      case Call::exit: continue;
      // What is all ours would be printed.
      case Call::print:
        if (first >= user::kBegin && first < user::kStackEnd) {
          second = first < user::kStackEnd - 64 ? 0 : user::kLongestText;
        }
        break;
      case Call::sleep: first = first <= user::kLongestSleep ? first % 1'000 : first; break;
      case Call::wait_word: third = third <= user::kLongestSleep ? 1 + third % 1'000 : third; break;
      default: break;
    }
    const uint64_t before = data_word;
    const int64_t answer = user::call(number, first, second, third);
    EXPECT(data_word == before);
    if (number >= user::kCalls) EXPECT(answer == code(Error::unknown_call));
    if (number == static_cast<uint64_t>(Call::print) && answer > 0) {
      EXPECT(first >= user::kBegin && first + static_cast<uint64_t>(answer) <= user::kStackEnd);
    }
    if (answer < 0) {
      EXPECT(answer >= code(Error::not_supported));
      ++refused;
    } else {
      ++answered;
    }
  }
  EXPECT(answered > 1'000);
  EXPECT(refused > 1'000);
  return 0;
}

int64_t family() {
  const auto tester = [](Act act) { return user::spawn("tester", static_cast<uint64_t>(act)); };
  const int64_t self = user::self();
  EXPECT(user::wait(self) == code(Error::no_process));
  EXPECT(user::wait(0) == code(Error::no_process));
  EXPECT(user::wait(-1) == code(Error::no_process));
  std::array<int64_t, 3> children;
  for (int64_t& child : children) {
    child = tester(Act::tell_id);
    EXPECT(child > self);
  }
  for (const int64_t child : children) EXPECT(user::wait(child) == child);
  EXPECT(user::wait(children[0]) == code(Error::no_process));
  const int64_t faulty = tester(Act::read_null);
  EXPECT(user::wait(faulty) == user::kEndedByFault);

  // As many as the kernel has room for, and not one more.
  std::array<int64_t, 64> all;
  size_t count = 0;
  for (;; ++count) {
    EXPECT(count < all.size());
    all[count] = tester(Act::tell_id);
    if (all[count] == code(Error::no_room)) break;
    EXPECT(all[count] > self);
  }
  EXPECT(count > 4);
  for (size_t i = 0; i < count; ++i) EXPECT(user::wait(all[i]) == all[i]);
  return 0;
}

int64_t words() {
  EXPECT(user::wait_word(futex, 4) == 0);  // it holds something else
  const int64_t before = user::time();
  EXPECT(user::wait_word(futex, 5, 1'000'000) == user::kTimedOut);
  EXPECT(user::time() >= before + 1'000'000);
  EXPECT(user::wake_word(futex, 1) == 0);
  EXPECT(user::call(Call::wait_word, address_of(&futex), uint64_t{1} << 32, 1) ==
         code(Error::bad_value));
  // Another process's word at the same address is another word.
  const int64_t child = user::spawn("tester", static_cast<uint64_t>(Act::wait_a_while));
  EXPECT(child > 0);
  EXPECT(user::sleep(1'000'000) == 0);
  EXPECT(user::wake_word(futex, 10) == 0);
  EXPECT(user::wait(child) == user::kTimedOut);
  return 0;
}

/// Ends before its child.
int64_t orphan() {
  EXPECT(user::spawn("tester", static_cast<uint64_t>(Act::wait_a_while)) > 0);
  EXPECT(user::spawn("tester", static_cast<uint64_t>(Act::tell_id)) > 0);
  EXPECT(user::sleep(1'000'000) == 0);
  return 0;
}

/// Spawning takes the kernel many instructions: all of these more than a turn.
int64_t long_calls() {
  std::array<int64_t, 20> children;
  for (int64_t& child : children) {
    child = user::spawn("tester", static_cast<uint64_t>(Act::tell_id));
    EXPECT(child > 0);
  }
  for (const int64_t child : children) EXPECT(user::wait(child) == child);
  return 0;
}

int64_t fresh_fpu() {
  static constinit user::Registers found;
  EXPECT(user_test::is_fpu_fresh(found));
  return 0;
}

/// Under fixed priorities.
int64_t attributes() {
  EXPECT(user::set_attributes(255) == code(Error::bad_value));  // the kernel's own
  EXPECT(user::set_attributes(UINT64_MAX) == code(Error::bad_value));
  EXPECT(user::set_attributes(uint64_t{1} << 32) == code(Error::bad_value));
  EXPECT(user::set_attributes(20) == 0);
  // A child inherits it: it runs as soon as its parent counts for less, and not before.
  const int64_t child = user::spawn("tester", static_cast<uint64_t>(Act::tell_time));
  EXPECT(child > 0);
  const int64_t before = user::time();
  EXPECT(user::set_attributes(19) == 0);
  const int64_t after = user::time();
  // As much of the time as a process can end with.
  const auto since = [before](int64_t time) { return static_cast<uint32_t>(time - before); };
  EXPECT(since(user::wait(child)) < since(after));
  return 0;
}

/// Under deadlines, where the policy admits no more than there is.
int64_t reserve() {
  EXPECT(user::set_attributes(0) == code(Error::bad_value));
  EXPECT(user::set_attributes(51) == code(Error::bad_value));
  EXPECT(user::set_attributes(50) == 0);
  // With what the kernel has reserved, there is no room for two of them.
  EXPECT(user::spawn("tester", static_cast<uint64_t>(Act::tell_id)) == code(Error::refused));
  EXPECT(user::set_attributes(25) == 0);
  const int64_t child = user::spawn("tester", static_cast<uint64_t>(Act::wait_a_while));
  EXPECT(child > 0);
  EXPECT(user::set_attributes(50) == 0);
  EXPECT(user::set_attributes(25) == 0);
  // With a second one there is no room for that.
  const int64_t second = user::spawn("tester", static_cast<uint64_t>(Act::wait_a_while));
  EXPECT(second > 0);
  EXPECT(user::set_attributes(50) == code(Error::refused));
  EXPECT(user::wait(child) == user::kTimedOut);
  EXPECT(user::wait(second) == user::kTimedOut);
  return 0;
}

}  // namespace

int64_t user_main(uint64_t argument) {
  switch (static_cast<Act>(argument)) {
    case Act::first_entry: return first_entry();
    case Act::calls: return calls();
    case Act::bad_pointers: return bad_pointers();
    case Act::fuzz: return fuzz();
    case Act::family: return family();
    case Act::words: return words();
    case Act::orphan: return orphan();
    case Act::long_calls: return long_calls();
    case Act::fresh_fpu: return fresh_fpu();
    case Act::attributes: return attributes();
    case Act::reserve: return reserve();
    case Act::spin:
      for (;;) asm volatile("" : : : "memory");
    case Act::sleep_long: user::sleep(user::kLongestSleep); break;
    case Act::wait_for_ever: user::wait_word(futex, 5); break;
    case Act::wait_a_while: return user::wait_word(futex, 5, 3'000'000);
    case Act::read_null: peek(8); break;
    case Act::read_kernel: peek(user_test::kKernelAddresses[0]); break;
    case Act::write_kernel: poke(user_test::kKernelAddresses[1]); break;
    case Act::run_kernel: run(user_test::kKernelAddresses[0]); break;
    case Act::write_text: poke(user::kBegin); break;
    case Act::write_rodata: poke(address_of(&rodata_word)); break;
    case Act::run_data: run(address_of(&data_word)); break;
    case Act::run_stack: {
      const volatile uint64_t local = 0;
      run(address_of(&local));
      break;
    }
    // Pages of other processes lie where the kernel has its free memory.
    case Act::read_other: peek(user_test::kFreeMemory); break;
    case Act::overflow: dig(1); break;
    case Act::above_stack: peek(user::kStackEnd); break;
    case Act::illegal: user_test::illegal(); break;
    case Act::privileged: user_test::privileged(); break;
    case Act::divide: user_test::divide_by_zero(); return user_test::kNoTrap;
    case Act::misaligned_jump: user_test::jump_nowhere(); break;
    case Act::device: poke(user_test::kDevice); break;
    case Act::tell_id: return user::self();
    case Act::tell_time: return user::time();
  }
  return -1;
}

// One act a run, chosen by the guest's arguments: what the kit promises, and every way it ends a
// kernel that goes wrong. There is no scheduler in it: a kernel image is kernel_main and two hooks.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernel_demo/kit.h"
#include "platforms/runtime/runtime.h"

extern "C" bool baton_interrupt(uintptr_t) { return false; }
extern "C" void baton_preempt() {}

// What the compiler must not see through.
extern "C" uintptr_t kit_test_launder(uintptr_t value);

namespace {

struct alignas(kit::kPageSize) Page {
  std::byte bytes[kit::kPageSize] = {};
};

constinit Page pages[3];
constinit const uint64_t constant = 42;

std::span<std::byte> middle_page() { return pages[1].bytes; }

volatile uint64_t* at(uintptr_t address) {
  return reinterpret_cast<volatile uint64_t*>(kit_test_launder(address));
}

uintptr_t address_of(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

const char* name_of_guard(uintptr_t address) {
  return address - address_of(middle_page().data()) < kit::kPageSize ? "digger" : nullptr;
}

const char* name_of_task() { return "tester"; }

void last_words() { kit::print("on_panic: the last words\n"); }

void check(bool holds, const char* what) {
  if (!holds) kit::panic(what, "tester");
}

/// Recursion without an end, which the compiler must not turn into a loop.
[[clang::noinline]] uint64_t dig(uint64_t depth) {
  volatile uint64_t ballast[16];
  ballast[depth % 16] = depth;
  const uint64_t below = kit_test_launder(depth) == 0 ? 0 : dig(depth + 1);
  return below + ballast[depth % 16];
}

[[clang::noinline]] void break_rule() { kit::panic("a rule that is never broken", "tester"); }

void on_panic_panics() { kit::panic("again", nullptr); }

void basics() {
  kit::print("{} {:x} {:>6} {:<6}| {:06} {}\n", -7, 255u, "right", "left", 42, true);
  check(constant == *at(address_of(&constant)), "constants read as written");

  const std::span<std::byte> memory = kit::memory();
  check(memory.size() > (64u << 20), "there is RAM after the image");
  check(address_of(memory.data()) % kit::kPageSize == 0, "free memory is page-aligned");
  // The first and the last page can be used.
  for (const size_t offset : {size_t{0}, memory.size() - 8}) {
    volatile uint64_t* const word = at(address_of(memory.data() + offset));
    *word = 0x1234;
    check(*word == 0x1234, "free memory keeps what is stored");
  }
  check(kit::memory().data() == memory.data(), "memory() is the same at every call");

  // A guarded page comes back with its content.
  for (const std::span<std::byte> page : {middle_page(), memory.first(kit::kPageSize)}) {
    *at(address_of(page.data())) = 77;
    kit::guard(page);
    kit::unguard(page);
    check(*at(address_of(page.data())) == 77, "a guarded page keeps its content");
  }
  check(kit::read() == -1, "nobody types");
  kit::print("all is well\n");
  kit::finish(true);
}

struct Act {
  std::string_view name;
  void (*run)();
};

constexpr Act kActs[] = {
    {"basics", basics},
    {"fail", [] { kit::finish(false); }},
    {"return", [] {}},
    {"panic", break_rule},
    {"panic_twice",
     [] {
       kit::on_panic = on_panic_panics;
       break_rule();
     }},
    {"overflow", [] { dig(kit_test_launder(1)); }},
    {"guard_write",
     [] {
       // Touched first, so that the TLB has it.
       volatile uint64_t* const word = at(address_of(middle_page().data()) + 8);
       *word = 1;
       kit::guard(middle_page());
       *word = 2;
     }},
    {"guard_memory",
     [] {
       kit::guard(kit::memory().first(kit::kPageSize));
       (void)*at(address_of(kit::memory().data()));
     }},
    {"guard_misaligned", [] { kit::guard({middle_page().data() + 1, kit::kPageSize}); }},
    {"guard_text",
     [] {
       const uintptr_t page = address_of(reinterpret_cast<const void*>(&dig)) & ~uintptr_t{4095};
       kit::guard({reinterpret_cast<std::byte*>(page), kit::kPageSize});
     }},
    {"unguard_unguarded", [] { kit::unguard(middle_page()); }},
    {"null", [] { (void)*at(8); }},
    {"null_call", [] { reinterpret_cast<void (*)()>(kit_test_launder(0))(); }},
    {"write_text", [] { *at(address_of(reinterpret_cast<const void*>(&dig))) = 0; }},
    {"write_rodata", [] { *at(address_of(&constant)) = 0; }},
    {"execute_data",
     [] { reinterpret_cast<void (*)()>(kit_test_launder(address_of(middle_page().data())))(); }},
    {"runtime", [] { baton_runtime_panic("the runtime cannot go on"); }},
    {"illegal", [] { __builtin_trap(); }},
};

}  // namespace

uintptr_t kit_test_launder(uintptr_t value) {
  asm volatile("" : "+r"(value));
  return value;
}

extern "C" void kernel_main() {
  kit::on_panic = last_words;
  kit::name_of_guard = name_of_guard;
  kit::name_of_task = name_of_task;
  kit::print("arguments [{}]\n", kit::arguments());
  for (const Act& act : kActs) {
    if (act.name == kit::arguments()) return act.run();
  }
  kit::panic("no such act", nullptr);
}

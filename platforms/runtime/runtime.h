// What a kernel may replace in the runtime that kernel_image links: the one function that ends
// everything.

#ifndef BATON_PLATFORMS_RUNTIME_RUNTIME_H_
#define BATON_PLATFORMS_RUNTIME_RUNTIME_H_

// Called, from any context, when the C++ runtime cannot go on: a failed check inside libc++, misuse
// of one of its guards, a failed assert, a pure virtual call, a `delete` without a heap. `why`
// lives forever. A kernel that defines this function gets the message; the default one executes a
// trap instruction.
extern "C" [[noreturn]] void baton_runtime_panic(const char* why) noexcept;

#endif  // BATON_PLATFORMS_RUNTIME_RUNTIME_H_

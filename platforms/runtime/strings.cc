// The functions of <string.h> that clang calls of its own accord, and a few that cost nothing
// beside them. Compiled with -fno-builtin: otherwise clang would see through the loops and replace
// them by calls of the very functions they implement. Words are copied where both sides are aligned
// alike; there is no unaligned access (aarch64 may run with the MMU off, where it traps).

#include <cstddef>
#include <cstdint>

namespace {

// May alias anything, as memcpy must.
using Word [[gnu::may_alias]] = std::uintptr_t;

bool aligned(const void* p) { return reinterpret_cast<std::uintptr_t>(p) % sizeof(Word) == 0; }

bool aligned_alike(const void* a, const void* b) {
  return (reinterpret_cast<std::uintptr_t>(a) ^ reinterpret_cast<std::uintptr_t>(b)) %
             sizeof(Word) ==
         0;
}

void copy_up(unsigned char* to, const unsigned char* from, std::size_t n) {
  if (aligned_alike(to, from)) {
    for (; n > 0 && !aligned(to); --n) *to++ = *from++;
    for (; n >= sizeof(Word); n -= sizeof(Word), to += sizeof(Word), from += sizeof(Word)) {
      *reinterpret_cast<Word*>(to) = *reinterpret_cast<const Word*>(from);
    }
  }
  for (; n > 0; --n) *to++ = *from++;
}

// The same from the end, for a target that overlaps the source from above.
void copy_down(unsigned char* to, const unsigned char* from, std::size_t n) {
  to += n;
  from += n;
  if (aligned_alike(to, from)) {
    for (; n > 0 && !aligned(to); --n) *--to = *--from;
    for (; n >= sizeof(Word); n -= sizeof(Word)) {
      to -= sizeof(Word);
      from -= sizeof(Word);
      *reinterpret_cast<Word*>(to) = *reinterpret_cast<const Word*>(from);
    }
  }
  for (; n > 0; --n) *--to = *--from;
}

}  // namespace

extern "C" {

[[gnu::weak]] void* memcpy(void* __restrict to, const void* __restrict from, std::size_t n) {
  copy_up(static_cast<unsigned char*>(to), static_cast<const unsigned char*>(from), n);
  return to;
}

[[gnu::weak]] void* memmove(void* to, const void* from, std::size_t n) {
  auto* target = static_cast<unsigned char*>(to);
  auto* source = static_cast<const unsigned char*>(from);
  if (reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from) >= n) {
    copy_up(target, source, n);
  } else {
    copy_down(target, source, n);
  }
  return to;
}

[[gnu::weak]] void* memset(void* to, int c, std::size_t n) {
  auto* target = static_cast<unsigned char*>(to);
  const auto byte = static_cast<unsigned char>(c);
  const Word word = byte * (~Word{0} / 0xff);
  for (; n > 0 && !aligned(target); --n) *target++ = byte;
  for (; n >= sizeof(Word); n -= sizeof(Word), target += sizeof(Word)) {
    *reinterpret_cast<Word*>(target) = word;
  }
  for (; n > 0; --n) *target++ = byte;
  return to;
}

[[gnu::weak]] int memcmp(const void* a, const void* b, std::size_t n) {
  auto* x = static_cast<const unsigned char*>(a);
  auto* y = static_cast<const unsigned char*>(b);
  for (; n > 0; --n, ++x, ++y) {
    if (*x != *y) return *x - *y;
  }
  return 0;
}

// clang turns a memcmp whose result is only compared with zero into this.
[[gnu::weak]] int bcmp(const void* a, const void* b, std::size_t n) { return memcmp(a, b, n); }

[[gnu::weak]] void* memchr(const void* s, int c, std::size_t n) {
  for (auto* p = static_cast<const unsigned char*>(s); n > 0; --n, ++p) {
    if (*p == static_cast<unsigned char>(c)) return const_cast<unsigned char*>(p);
  }
  return nullptr;
}

[[gnu::weak]] std::size_t strlen(const char* s) {
  std::size_t n = 0;
  while (s[n] != '\0') ++n;
  return n;
}

[[gnu::weak]] char* strchr(const char* s, int c) {
  for (;; ++s) {
    if (*s == static_cast<char>(c)) return const_cast<char*>(s);
    if (*s == '\0') return nullptr;
  }
}

[[gnu::weak]] int strncmp(const char* a, const char* b, std::size_t n) {
  for (; n > 0; --n, ++a, ++b) {
    if (*a != *b) return static_cast<unsigned char>(*a) - static_cast<unsigned char>(*b);
    if (*a == '\0') break;
  }
  return 0;
}

[[gnu::weak]] int strcmp(const char* a, const char* b) { return strncmp(a, b, ~std::size_t{0}); }

}  // extern "C"

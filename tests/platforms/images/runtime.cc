// Checks, on the machine itself, what //platforms/runtime and platforms/libcxx provide.

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <expected>
#include <span>

#include "tests/platforms/machine.h"

namespace {

int failures = 0;

void check(bool ok, const char* what) {
  print(ok ? "PASS " : "FAIL ");
  print(what);
  print("\n");
  failures += ok ? 0 : 1;
}

constinit std::array<unsigned char, 256> a{}, b{};

// Every length and both alignments of a buffer, against a byte by byte copy.
bool copies() {
  for (std::size_t from = 0; from < 9; ++from) {
    for (std::size_t to = 0; to < 9; ++to) {
      for (std::size_t n = 0; n < 40; ++n) {
        for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<unsigned char>(i * 7 + 1);
        std::memset(b.data(), 0, b.size());
        std::memcpy(&b[to], &a[from], n);
        for (std::size_t i = 0; i < b.size(); ++i) {
          const bool inside = i >= to && i < to + n;
          if (b[i] != (inside ? a[i - to + from] : 0)) return false;
        }
      }
    }
  }
  return true;
}

bool overlapping_moves() {
  for (std::size_t from = 0; from < 20; ++from) {
    for (std::size_t to = 0; to < 20; ++to) {
      for (std::size_t n = 0; n < 40; ++n) {
        for (std::size_t i = 0; i < a.size(); ++i)
          a[i] = b[i] = static_cast<unsigned char>(i * 5 + 3);
        std::memmove(&a[to], &a[from], n);
        for (std::size_t i = 0; i < a.size(); ++i) {
          const bool inside = i >= to && i < to + n;
          if (a[i] != b[inside ? i - to + from : i]) return false;
        }
      }
    }
  }
  return true;
}

std::expected<int, int> half(int x) {
  if (x % 2 != 0) return std::unexpected(x);
  return x / 2;
}

}  // namespace

void image_main() {
  check(copies(), "memcpy and memset");
  check(overlapping_moves(), "memmove");
  check(std::memcmp("abc", "abd", 3) < 0 && std::memcmp("abc", "abd", 2) == 0, "memcmp");
  check(std::strlen("four") == 4 && std::strcmp("a", "b") < 0 && std::strncmp("ab", "ac", 1) == 0,
        "strlen, strcmp and strncmp");
  check(*std::strchr("name=value", '=') == '=' && std::strchr("name", '=') == nullptr, "strchr");
  check(std::memchr("abc", 'c', 2) == nullptr, "memchr");
  check(half(4).value() == 2 && half(3).error() == 3, "expected");
  std::array<int, 5> numbers{3, 1, 4, 1, 5};
  std::sort(numbers.begin(), numbers.end(), [](int x, int y) { return x < y; });
  check(std::ranges::is_sorted(numbers), "sort");
  constinit static std::atomic<std::uint64_t> counter{41};
  check(counter.fetch_add(1) == 41 && counter.load() == 42, "64-bit atomics");
  check(std::popcount(0xffu) == 8 && std::countl_zero(std::uint64_t{1}) == 63, "bit operations");
  if (failures != 0) exit_qemu(35);
  print("all is well\n");
  exit_qemu(33);
}

// A function that refuses what is no integer, to have something to be misused.

#ifndef BATON_TESTS_BUILD_DEFS_REFUSES_H_
#define BATON_TESTS_BUILD_DEFS_REFUSES_H_

#include <concepts>

template <typename T>
int refuses(T value) {
  static_assert(std::integral<T>, "refuses() takes integers alone");
  return static_cast<int>(value);
}

#endif  // BATON_TESTS_BUILD_DEFS_REFUSES_H_

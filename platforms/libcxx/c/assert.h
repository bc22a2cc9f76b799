/* assert for kernels: names the condition and the place, then panics (platforms/runtime).
   Off with NDEBUG, like everywhere. */

#ifndef BATON_LIBCXX_C_ASSERT_H_
#define BATON_LIBCXX_C_ASSERT_H_

#ifdef __cplusplus
extern "C" {
#endif

__attribute__((__noreturn__)) void baton_runtime_assert_failed(const char* condition,
                                                               const char* file, int line);

#ifdef __cplusplus
}
#endif

#endif /* BATON_LIBCXX_C_ASSERT_H_ */

/* Outside the guard: <assert.h> may be included again with another NDEBUG. */
#undef assert
#ifdef NDEBUG
#define assert(...) ((void)0)
#else
#define assert(...) \
  ((__VA_ARGS__) ? (void)0 : baton_runtime_assert_failed(#__VA_ARGS__, __FILE_NAME__, __LINE__))
#endif

#if !defined(__cplusplus) && !defined(static_assert)
#define static_assert _Static_assert
#endif

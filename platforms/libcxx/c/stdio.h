/* Declarations that libc++'s <cstdio> names. There is no file and no standard output: calling one
   fails at link. */

#ifndef BATON_LIBCXX_C_STDIO_H_
#define BATON_LIBCXX_C_STDIO_H_

#include <stdarg.h>
#include <stddef.h>

#define EOF (-1)

#ifdef __cplusplus
extern "C" {
#endif

typedef struct BatonNoFile FILE;
typedef long fpos_t;

/* Declared because a name left out would bind to std's own overload of it. */
int remove(const char* path);
int rename(const char* from, const char* to);
int printf(const char* __restrict format, ...);
int snprintf(char* __restrict to, size_t n, const char* __restrict format, ...);
int vsnprintf(char* __restrict to, size_t n, const char* __restrict format, va_list arguments);

#ifdef __cplusplus
}
#endif

#endif /* BATON_LIBCXX_C_STDIO_H_ */

/* Declarations that libc++'s <cstdlib> names. There is no C library: calling one fails at link. */

#ifndef BATON_LIBCXX_C_STDLIB_H_
#define BATON_LIBCXX_C_STDLIB_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  int quot, rem;
} div_t;
typedef struct {
  long quot, rem;
} ldiv_t;
typedef struct {
  long long quot, rem;
} lldiv_t;

#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1
#define RAND_MAX 0x7fffffff

__attribute__((__noreturn__)) void abort(void);
int abs(int x);
void* aligned_alloc(size_t alignment, size_t size);
int at_quick_exit(void (*f)(void));
int atexit(void (*f)(void));
double atof(const char* s);
int atoi(const char* s);
long atol(const char* s);
long long atoll(const char* s);
void* bsearch(const void* key, const void* base, size_t n, size_t size,
              int (*compare)(const void*, const void*));
void* calloc(size_t n, size_t size);
div_t div(int a, int b);
__attribute__((__noreturn__)) void exit(int status);
__attribute__((__noreturn__)) void _Exit(int status);
void free(void* p);
char* getenv(const char* name);
long labs(long x);
ldiv_t ldiv(long a, long b);
long long llabs(long long x);
lldiv_t lldiv(long long a, long long b);
void* malloc(size_t size);
int mblen(const char* s, size_t n);
void qsort(void* base, size_t n, size_t size, int (*compare)(const void*, const void*));
__attribute__((__noreturn__)) void quick_exit(int status);
int rand(void);
void* realloc(void* p, size_t size);
void srand(unsigned seed);
double strtod(const char* s, char** end);
float strtof(const char* s, char** end);
long strtol(const char* s, char** end, int base);
long double strtold(const char* s, char** end);
long long strtoll(const char* s, char** end, int base);
unsigned long strtoul(const char* s, char** end, int base);
unsigned long long strtoull(const char* s, char** end, int base);
int system(const char* command);

#ifdef __cplusplus
}
#endif

#endif /* BATON_LIBCXX_C_STDLIB_H_ */

/* The types that libc++'s <chrono> names. Kernels have clocks of their own. */

#ifndef BATON_LIBCXX_C_TIME_H_
#define BATON_LIBCXX_C_TIME_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef long time_t;
typedef long clock_t;

struct timespec {
  time_t tv_sec;
  long tv_nsec;
};

struct tm {
  int tm_sec, tm_min, tm_hour, tm_mday, tm_mon, tm_year, tm_wday, tm_yday, tm_isdst;
};

#define TIME_UTC 1

char* asctime(const struct tm* t);
clock_t clock(void);
char* ctime(const time_t* t);
double difftime(time_t a, time_t b);
struct tm* gmtime(const time_t* t);
struct tm* localtime(const time_t* t);
time_t mktime(struct tm* t);
size_t strftime(char* to, size_t n, const char* format, const struct tm* t);
time_t time(time_t* t);
int timespec_get(struct timespec* t, int base);

#ifdef __cplusplus
}
#endif

#endif /* BATON_LIBCXX_C_TIME_H_ */

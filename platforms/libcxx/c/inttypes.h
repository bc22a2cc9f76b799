/* What libc++ wants from <inttypes.h>, which mdspan includes. Kernels format numbers themselves. */

#ifndef BATON_LIBCXX_C_INTTYPES_H_
#define BATON_LIBCXX_C_INTTYPES_H_

#include <stdint.h>

typedef struct {
  intmax_t quot, rem;
} imaxdiv_t;

#ifdef __cplusplus
extern "C" {
#endif

intmax_t imaxabs(intmax_t x);
imaxdiv_t imaxdiv(intmax_t a, intmax_t b);
intmax_t strtoimax(const char* s, char** end, int base);
uintmax_t strtoumax(const char* s, char** end, int base);

#ifdef __cplusplus
}
#endif

#endif /* BATON_LIBCXX_C_INTTYPES_H_ */

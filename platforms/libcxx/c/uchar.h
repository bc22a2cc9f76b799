/* The one type that libc++ wants from <uchar.h>, although wide characters are off. */

#ifndef BATON_LIBCXX_C_UCHAR_H_
#define BATON_LIBCXX_C_UCHAR_H_

typedef struct {
  unsigned state;
} mbstate_t;

#endif /* BATON_LIBCXX_C_UCHAR_H_ */

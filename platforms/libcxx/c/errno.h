/* The error numbers that libc++'s <system_error> and <charconv> name. There is no errno. */

#ifndef BATON_LIBCXX_C_ERRNO_H_
#define BATON_LIBCXX_C_ERRNO_H_

#define EDOM 33
#define EILSEQ 84
#define EINVAL 22
#define ENOMEM 12
#define EOVERFLOW 75
#define ERANGE 34

#endif /* BATON_LIBCXX_C_ERRNO_H_ */

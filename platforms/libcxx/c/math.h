/* The declarations that libc++'s <cmath> names. A kernel uses no floating point: calling one
   fails at link, where the compiler does not fold it. */

#ifndef BATON_LIBCXX_C_MATH_H_
#define BATON_LIBCXX_C_MATH_H_

typedef float float_t;
typedef double double_t;

#define FP_NAN 0
#define FP_INFINITE 1
#define FP_ZERO 2
#define FP_SUBNORMAL 3
#define FP_NORMAL 4
#define HUGE_VAL __builtin_huge_val()
#define HUGE_VALF __builtin_huge_valf()
#define HUGE_VALL __builtin_huge_vall()
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")

/* Each function for its three types: `name`, `namef` and `namel`. */
#define BATON_MATH_1(name) \
  double name(double x);   \
  float name##f(float x);  \
  long double name##l(long double x);
#define BATON_MATH_2(name)         \
  double name(double x, double y); \
  float name##f(float x, float y); \
  long double name##l(long double x, long double y);
#define BATON_MATH_3(name)                   \
  double name(double x, double y, double z); \
  float name##f(float x, float y, float z);  \
  long double name##l(long double x, long double y, long double z);
#define BATON_MATH_TO(type, name) \
  type name(double x);            \
  type name##f(float x);          \
  type name##l(long double x);

#ifdef __cplusplus
extern "C" {
#endif

/* clang-format off */
BATON_MATH_1(acos) BATON_MATH_1(acosh) BATON_MATH_1(asin) BATON_MATH_1(asinh) BATON_MATH_1(atan)
BATON_MATH_1(atanh) BATON_MATH_1(cbrt) BATON_MATH_1(ceil) BATON_MATH_1(cos) BATON_MATH_1(cosh)
BATON_MATH_1(erf) BATON_MATH_1(erfc) BATON_MATH_1(exp) BATON_MATH_1(exp2) BATON_MATH_1(expm1)
BATON_MATH_1(fabs) BATON_MATH_1(floor) BATON_MATH_1(lgamma) BATON_MATH_1(log) BATON_MATH_1(log10)
BATON_MATH_1(log1p) BATON_MATH_1(log2) BATON_MATH_1(logb) BATON_MATH_1(nearbyint)
BATON_MATH_1(rint) BATON_MATH_1(round) BATON_MATH_1(sin) BATON_MATH_1(sinh) BATON_MATH_1(sqrt)
BATON_MATH_1(tan) BATON_MATH_1(tanh) BATON_MATH_1(tgamma) BATON_MATH_1(trunc)
BATON_MATH_2(atan2) BATON_MATH_2(copysign) BATON_MATH_2(fdim) BATON_MATH_2(fmax)
BATON_MATH_2(fmin) BATON_MATH_2(fmod) BATON_MATH_2(hypot) BATON_MATH_2(nextafter)
BATON_MATH_2(pow) BATON_MATH_2(remainder) BATON_MATH_3(fma)
BATON_MATH_TO(int, ilogb) BATON_MATH_TO(long, lrint) BATON_MATH_TO(long, lround)
BATON_MATH_TO(long long, llrint) BATON_MATH_TO(long long, llround)

double frexp(double x, int* e);
float frexpf(float x, int* e);
long double frexpl(long double x, int* e);
double ldexp(double x, int e);
float ldexpf(float x, int e);
long double ldexpl(long double x, int e);
double modf(double x, double* whole);
float modff(float x, float* whole);
long double modfl(long double x, long double* whole);
double nan(const char* tag);
float nanf(const char* tag);
long double nanl(const char* tag);
double nexttoward(double x, long double y);
float nexttowardf(float x, long double y);
long double nexttowardl(long double x, long double y);
double remquo(double x, double y, int* q);
float remquof(float x, float y, int* q);
long double remquol(long double x, long double y, int* q);
double scalbln(double x, long e);
float scalblnf(float x, long e);
long double scalblnl(long double x, long e);
double scalbn(double x, int e);
float scalbnf(float x, int e);
long double scalbnl(long double x, int e);

#ifdef __cplusplus
}
#endif

/* clang-format on */

#undef BATON_MATH_1
#undef BATON_MATH_2
#undef BATON_MATH_3
#undef BATON_MATH_TO

#endif /* BATON_LIBCXX_C_MATH_H_ */

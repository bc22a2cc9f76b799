// libc++'s way to end the program where it cannot throw, as in std::expected::value(). The format
// is passed on as it is: libc++'s own messages are readable without their arguments.

#include <__verbose_abort>

#include "platforms/runtime/runtime.h"

_LIBCPP_BEGIN_NAMESPACE_STD

void __libcpp_verbose_abort(const char* format, ...) { baton_runtime_panic(format); }

_LIBCPP_END_NAMESPACE_STD

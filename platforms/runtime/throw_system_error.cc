// What a guard of libc++ does that is told to lock without a mutex, or twice.

#include <system_error>

#include "platforms/runtime/runtime.h"

_LIBCPP_BEGIN_NAMESPACE_STD

void __throw_system_error(int, const char* what) { baton_runtime_panic(what); }

_LIBCPP_END_NAMESPACE_STD

// What the Itanium C++ ABI puts into a vtable where a function is pure.

#include "platforms/runtime/runtime.h"

extern "C" void __cxa_pure_virtual() { baton_runtime_panic("a pure virtual function was called"); }

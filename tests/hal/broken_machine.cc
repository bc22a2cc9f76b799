// A machine with one wrong part, `BROKEN`, in the wrong shape `SHAPE`: must not compile, with a
// message that names the part. Both are given on the command line, by the test's target.

#include "tests/hal/machine_shapes.h"

struct Broken : machine_shapes::With<machine_shapes::BROKEN, machine_shapes::BROKEN::SHAPE> {};
static_assert(hal::SpaceMachine<Broken>);

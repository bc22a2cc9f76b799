// The argument of the program `pool`, for whoever spawns it.

#ifndef BATON_KERNEL_DEMO_USER_SHARED_ACTS_H_
#define BATON_KERNEL_DEMO_USER_SHARED_ACTS_H_

#include <cstdint>

namespace user {

enum class PoolAct : uint64_t {
  count,  ///< three tasks of three turns; the second one asks the kernel something
  hog,    ///< one that never yields
};

}  // namespace user

#endif  // BATON_KERNEL_DEMO_USER_SHARED_ACTS_H_

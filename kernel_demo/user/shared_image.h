// The image of the shared scheduler in this kernel: loaded once, mapped wherever it is wanted.

#ifndef BATON_KERNEL_DEMO_USER_SHARED_IMAGE_H_
#define BATON_KERNEL_DEMO_USER_SHARED_IMAGE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>

#include "kernel_demo/user/abi.h"
#include "kernel_demo/user/address_space.h"
#include "sched/shared/client.h"

namespace demo {

inline constexpr size_t kSharedCapacity = 400;
using SharedPartition = sched::shared::Partition<kSharedCapacity>;

/// Who writes a partition.
enum class Sharing : uint8_t {
  apart,   ///< each space its own; the kernel's is out of reach
  merged,  ///< all spaces, and the kernel, have one: they trust each other
};

/// What the kernel touches of what it has mapped for a space: two words that others may write, and
/// the board.
struct SharedMapping {
  const std::atomic<uint64_t>* head = nullptr;
  const std::atomic<uint32_t>* taken = nullptr;
  sched::shared::Board* board = nullptr;
};

/// Loads the embedded image to where the kernel calls it, unless that has been done: text may be
/// executed only, constants only be read. The kernel's own mapping of it; or why there is none.
std::expected<SharedMapping, user::Error> load_shared_image();

/// The kernel's mapping, as its caller. After `load_shared_image`.
sched::shared::Client kernel_client();

/// Maps it at `address` of `space`: the same text and constants, a partition and a board of its
/// own, or the kernel's partition where they are `merged`. Once for a space, also where it fails:
/// what it has mapped by then stays. `bad_value`: nothing has been done.
std::expected<SharedMapping, user::Error> map_shared_image(AddressSpace& space, uintptr_t address,
                                                           Sharing sharing);

}  // namespace demo

#endif  // BATON_KERNEL_DEMO_USER_SHARED_IMAGE_H_

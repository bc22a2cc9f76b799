// What user programs ask of `kernel_demo/<arch>`: entries of page tables, and the vectors. Private
// to this folder.

#ifndef BATON_KERNEL_DEMO_USER_MACHINE_H_
#define BATON_KERNEL_DEMO_USER_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "hal/native.h"
#include "kernel_demo/kit.h"
#include "kernel_demo/kit/machine.h"

namespace demo::user_machine {

/// Traps from user mode find their way on this CPU from here on. Once on each CPU, masked, after
/// `Machine::start_cpu`.
void start();

/// How many levels of tables there are; the lowest maps 4 KiB an entry.
extern const unsigned kLevels;

/// The top table that translation goes through now.
const kit::Table& top_table();

/// What loads a top table that is complete.
hal::Native::Space space_of(const kit::Table& top);

/// An entry of the lowest level that maps `page` for user programs: text, rodata or data.
uint64_t leaf(const std::byte* page, kit::Access access);

/// The page that a leaf maps.
std::byte* page_of(uint64_t leaf);

/// An entry that leads to the next level's `table`, in which there is something for user programs.
uint64_t branch(const kit::Table& table);

/// Instructions were written to this page, and will be published.
void write_text(std::span<std::byte> page);

/// Every CPU may execute what was written from here on. May interrupt them all.
void publish_text();

}  // namespace demo::user_machine

#endif  // BATON_KERNEL_DEMO_USER_MACHINE_H_
